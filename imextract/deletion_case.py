"""What goes together, if it goes: microscope files, and the planes that depend on them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy.orm import Session

from imextract.database.files import (
    MicroscopeDataSet,
    MicroscopeFile,
    data_sets_of_entries,
    files_at,
    overlapping_acquisitions,
)
from imextract.database.planes import PlaneRecord, planes_of_entry
from imextract.originals import identity_of

__all__ = ["DeletionCase"]


@dataclass(frozen=True, slots=True)
class DeletionCase:
    """Data sets of an experiment that share planes, as projections do.

    Attributes
    ----------
    experiment_id
        The experiment that wants to be rid of the files.
    data_sets
        By the ids of their entries.
    rows
        Every row that the ledger has of a file, of whichever registration, by path.
    planes
        Every plane that depends on any of the files, of whichever experiment.
    identities
        What the files that may go were when the case was opened.
    """

    experiment_id: int
    data_sets: Mapping[int, MicroscopeDataSet]
    rows: Mapping[Path, list[int]]
    planes: list[PlaneRecord]
    identities: Mapping[Path, str | None]

    @classmethod
    def of(cls, session: Session, experiment_id: int, entry_id: int) -> Self:
        """Gather all that hangs together with an entry."""
        data_sets: dict[int, MicroscopeDataSet] = {}
        rows: dict[Path, list[int]] = {}
        planes: dict[int, PlaneRecord] = {}
        new = {entry_id}
        while new:
            found = data_sets_of_entries(session, new)
            data_sets |= found
            pairs = _rows_of(session, found.values())
            rows |= {path: [row for row, _ in at] for path, at in pairs.items()}
            entries = {entry for at in pairs.values() for _, entry in at}
            planes |= {plane.id: plane for plane in planes_of_entry(session, entries)}
            ours = (p for p in planes.values() if p.experiment_id == experiment_id)
            new = {source.entry_id for p in ours for source in p.sources} - set(data_sets)
        files = [file for one in data_sets.values() for file in one.files if _may_go(file)]
        identities = {file.path: identity_of(file.path) for file in files}
        return cls(experiment_id, data_sets, rows, list(planes.values()), identities)

    @property
    def name(self) -> str:
        """The first file, for messages."""
        return str(next(iter(self.data_sets.values())).entry.path)

    @property
    def files(self) -> list[MicroscopeFile]:
        """All files, those that stay as well; each path once."""
        every = (file for one in self.data_sets.values() for file in one.files)
        return list({file.path: file for file in every}.values())

    @property
    def doomed(self) -> list[MicroscopeFile]:
        """The files that go."""
        return [file for file in self.files if _may_go(file)]

    @property
    def held(self) -> list[MicroscopeDataSet]:
        """The data sets with planes that nobody stores."""
        return [one for one in self.data_sets.values() if one.entry.is_held]

    @property
    def is_half_done(self) -> bool:
        """Whether it was proven before, and no file that is left has changed since."""
        return all(
            file.state == "pending_deletion" and self.identities[file.path] in (None, file.identity)
            for file in self.doomed
        )


def _may_go(file: MicroscopeFile) -> bool:
    return file.holds_pixels and not file.is_held and file.state != "deleted"


def _rows_of(
    session: Session, data_sets: Iterable[MicroscopeDataSet]
) -> dict[Path, list[tuple[int, int]]]:
    """Find every row, of whichever registration, of the files of data sets."""
    found: dict[Path, list[tuple[int, int]]] = {}
    for data_set in data_sets:
        kin = overlapping_acquisitions(session, data_set.folder)
        found |= {file.path: files_at(session, kin, [file.path]) for file in data_set.files}
    return found
