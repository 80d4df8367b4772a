"""Which file of a data set is the one to open.

Bio-Formats opens a data set through any of its files, but not always the same
way: through one it sees a whole plate, through another a single position. So
the entry that accounts for most pixel files is taken; where two account for
as many, the metadata file; then the first by name. A file that a chosen data
set accounts for is not opened again, so that a set of 10,000 files is opened
twice: once through its metadata, once through one of its images.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from imextract.errors import SourceFileError, UnknownFormatError
from imextract.readers.bioformats import Inspection
from imextract.registration.candidates import Candidate, candidate_of
from imextract.registration.files import FoundFiles, is_empty
from imextract.registration.manifest import Problem
from imextract.registration.suffixes import (
    is_archive,
    is_likely_image,
    is_never_opened,
    opening_rank,
)

__all__ = ["EntryChooser", "Inspect", "InspectAlone"]

logger = logging.getLogger(__name__)

Inspect: TypeAlias = Callable[[str], Inspection]
InspectAlone: TypeAlias = Callable[[str], Inspection | None]


class EntryChooser:
    """Chooses the data sets of a folder and the file each is opened through.

    Parameters
    ----------
    found
        The files of the folder.
    inspect
        Opens a file, given by its relative path, with Bio-Formats.
    inspect_alone
        Opens a plain TIFF out of sight of the files beside it, or gives None
        for any other file. Asked only where another type has claimed files,
        as Bio-Formats takes what lies beside these for a part of their set.
    """

    def __init__(
        self, found: FoundFiles, inspect: Inspect, inspect_alone: InspectAlone | None = None
    ) -> None:
        self._found = found
        self._inspect = inspect
        self._inspect_alone = inspect_alone if found.claimed else None
        self._chosen: dict[str, Candidate] = {}
        self._owner: dict[str, str] = {}
        self._opened: set[str] = set()
        self._rejected: list[Candidate] = []
        self._not_images = 0
        self._read_alone: set[str] = set()
        self.problems: list[Problem] = []

    def choose(self) -> list[Candidate]:
        """Give the data sets, in the order of their entries' names."""
        ranked = sorted(enumerate(self._found.files), key=lambda item: opening_rank(item[1]))
        self._queue = deque(path for _, path in ranked)
        while self._queue:
            path = self._queue.popleft()
            if path not in self._owner and path not in self._opened and self._can_open(path):
                self._consider(path)
        self._report()
        order = {path: index for index, path in enumerate(self._found.files)}
        return sorted(self._chosen.values(), key=lambda candidate: order[candidate.entry])

    def _can_open(self, path: str) -> bool:
        if is_archive(path):
            self._warn(path, "is an archive: left out; unpack it to register what it holds")
        elif is_never_opened(path):
            self._not_images += 1
        elif is_empty(self._found.files[path]):
            self._warn(path, "is empty: left out")
        else:
            return True
        return False

    def _consider(self, path: str) -> None:
        candidate = self._open(path)
        if candidate is None:
            return
        if not self._rivals(candidate):
            candidate = self._better_entry(candidate)
        rivals = self._rivals(candidate)
        if all(candidate.beats(rival) for rival in rivals):
            self._accept(candidate, rivals)
        else:
            self._rejected.append(candidate)

    def _open(self, path: str, *, is_probe: bool = False) -> Candidate | None:
        self._opened.add(path)
        try:
            return self._unclaimed(candidate_of(self._found, path, self._inspect(path)))
        except UnknownFormatError as error:
            if not is_likely_image(path):
                self._not_images += not is_probe
            elif not is_probe:
                self._warn(path, f"no reader knows the format: left out ({error})")
        except SourceFileError as error:
            alone = self._alone(path)
            if alone is not None:
                return alone
            if not is_probe:
                self._warn(path, f"cannot be opened: left out ({error})")
        return None

    def _unclaimed(self, candidate: Candidate) -> Candidate | None:
        """Take a file alone whose data set holds files of another microscope type."""
        if not candidate.claimed:
            return candidate
        alone = self._alone(candidate.entry)
        if alone is None:
            owner = self._found.claimed[candidate.claimed[0]]
            text = (
                f"is opened with {candidate.claimed[0]}, which is registered by {owner}, and is no "
                "plain TIFF to be read alone: left out; register it from a folder of its own"
            )
            self._warn(candidate.entry, text)
        return alone

    def _alone(self, path: str) -> Candidate | None:
        inspection = None if self._inspect_alone is None else self._inspect_alone(path)
        if inspection is None:
            return None
        self._read_alone.add(path)
        return candidate_of(self._found, path, inspection)

    def _better_entry(self, candidate: Candidate) -> Candidate:
        """Open a set through one of its images as well, and take the better way."""
        images = [path for path in candidate.pixel_files if path != candidate.entry]
        probe = next((path for path in images if path not in self._opened), None)
        other = None if probe is None else self._open(probe, is_probe=True)
        if other is None or not other.beats(candidate):
            return candidate
        self._rejected.append(candidate)
        return other

    def _rivals(self, candidate: Candidate) -> list[Candidate]:
        owners = {self._owner[path] for path in candidate.pixel_files if path in self._owner}
        return [self._chosen[owner] for owner in sorted(owners)]

    def _accept(self, candidate: Candidate, rivals: list[Candidate]) -> None:
        for rival in rivals:
            del self._chosen[rival.entry]
            for path in rival.files:
                if self._owner.get(path) == rival.entry:
                    del self._owner[path]
                    self._queue.append(path)
            self._rejected.append(rival)
        self._chosen[candidate.entry] = candidate
        for path in candidate.files:
            self._owner[path] = candidate.entry
        logger.debug(
            "%s: %d files, opened by %s",
            candidate.entry,
            len(candidate.files),
            candidate.inspection.format_name,
        )

    def _report(self) -> None:
        for candidate in self._chosen.values():
            self.problems.extend(candidate.problems)
        lost = {path for loser in self._rejected for path in loser.pixel_files}
        # Metadata through which less was seen are no loss.
        lost.update(loser.entry for loser in self._rejected if is_likely_image(loser.entry))
        for path in sorted(lost - self._owner.keys()):
            self._warn(path, "no data set accounts for this file: left out; register it by itself")
        alone = sorted(self._read_alone & self._chosen.keys())
        if alone:
            text = (
                f"{len(alone)} plain TIFFs lie beside another data set and are no part of it, such "
                f"as {alone[0]}: each is registered by itself; check that they are wanted"
            )
            self.problems.append(Problem("warning", None, text))
        if self._not_images:
            text = f"{self._not_images} other files are no images: left out"
            self.problems.append(Problem("warning", None, text))

    def _warn(self, path: str, text: str) -> None:
        self.problems.append(Problem("warning", path, text))
