"""What one way to open a data set accounts for."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from imextract.errors import SourceFileError
from imextract.readers.bioformats import Inspection
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.manifest import Problem, SourceFile
from imextract.registration.suffixes import is_likely_image, opening_rank

__all__ = ["Candidate", "candidate_of"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that was opened, and the files of the folder that were read with it.

    `claimed` are those that another microscope type accounts for.
    """

    entry: str
    inspection: Inspection
    pixel_files: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    claimed: tuple[str, ...] = ()

    def beats(self, other: "Candidate") -> bool:
        """Tell whether this is the better entry of the same data set."""
        return self.merit < other.merit

    @property
    def merit(self) -> tuple[int, bool, object]:
        """Sort key: the best entry of a data set comes first."""
        is_image = self.entry in self.pixel_files
        return -len(self.pixel_files), is_image, natural_order(self.entry)

    def source_files(self, found: FoundFiles) -> tuple[SourceFile, tuple[SourceFile, ...]]:
        """Give the entry and its companions as they were seen in the folder."""
        holds_pixels = frozenset(self.pixel_files)
        seen = {
            path: replace(found.files[path], holds_pixels=path in holds_pixels)
            for path in self.files
        }
        return seen.pop(self.entry), tuple(seen.values())


def candidate_of(found: FoundFiles, entry: str, inspection: Inspection) -> Candidate:
    """Sort the files that Bio-Formats used into those of the folder and others.

    Raises
    ------
    SourceFileError
        If the entry is an image, but others are read in its place.
    """
    metadata = frozenset(map(os.fspath, inspection.metadata_files))
    files: dict[str, None] = {entry: None}
    pixel_files: dict[str, None] = {}
    problems: dict[str, Problem] = {}
    for path in map(os.fspath, inspection.used_files):
        relative = _relative(found, path)
        if relative is not None:
            files[relative] = None
        if path in metadata:
            continue
        if relative is None:
            problems[path] = _absence(found, entry, path)
        else:
            pixel_files[relative] = None
    _check_is_used(found, entry, inspection)
    # Formats of one file sometimes count it as metadata, though it has the pixels.
    pixels = tuple(sorted(pixel_files or files, key=natural_order))
    claimed = tuple(path for path in files if path in found.claimed)
    return Candidate(entry, inspection, pixels, tuple(files), tuple(problems.values()), claimed)


def _check_is_used(found: FoundFiles, entry: str, inspection: Inspection) -> None:
    used = [os.path.realpath(path) for path in inspection.used_files]
    is_index = opening_rank(entry) < opening_rank("")
    if is_index or not is_likely_image(entry) or not used:
        return
    if os.path.realpath(found.folder / entry) not in used:
        raise SourceFileError(
            f"{found.folder / entry}: Bio-Formats reads {Path(used[0]).name} in its place, which "
            "its metadata name; give it the name that it was written with, in a folder of its own"
        )


def _absence(found: FoundFiles, entry: str, path: str) -> Problem:
    if Path(path).exists():
        text = f"lies outside {found.folder}, but is part of {entry}; register a common folder"
        return Problem("error", path, text)
    name = path.removeprefix(f"{found.folder}{os.sep}")
    return Problem("warning", name, f"is missing, but part of {entry}: its planes cannot be read")


def _relative(found: FoundFiles, path: str) -> str | None:
    start = f"{found.folder}{os.sep}"
    below = path[len(start) :]
    if path.startswith(start) and (below in found.files or below in found.claimed):
        return below
    # Spelt another way ("a/../b", a link), or hidden and so not found by walking.
    real = os.path.realpath(path)
    if not real.startswith(start):
        return None
    relative = real[len(start) :]
    if relative in found.claimed:
        return relative
    if relative not in found.files and Path(real).is_file():
        status = Path(real).stat()
        found.files[relative] = SourceFile(relative, status.st_size, status.st_mtime_ns)
    return relative if relative in found.files else None
