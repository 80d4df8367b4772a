"""Microscope files lie apart from the stored planes and the ledger.

Else a registration would take stored planes and the ledger for images, and a
cleanup would delete the folder of a user's originals along with stored planes.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imextract.database.experiments import registered_folders
from imextract.database.session import Database
from imextract.errors import ConfigError
from imextract.store import FolderStore

__all__ = ["require_apart", "require_registered_apart"]

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class _Mount:
    device: str
    root: Path
    point: Path


@dataclass(frozen=True, slots=True)
class _Spot:
    """A path, there or not, by what it is and not by what it is called.

    `device` and `inner` tell where it lies on its disk, whatever links and mounts lead
    there; `above` what it and the folders above it are, also where a disk takes
    several spellings for one name.
    """

    device: str
    inner: Path
    above: frozenset[tuple[int, int]]
    identity: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path, mounts: Iterable[_Mount]) -> Self:
        real = Path(os.path.realpath(path))
        identity = _identity(real)
        above = {_identity(folder) for folder in real.parents} | {identity}
        device, inner = _on_disk(real, mounts)
        return cls(device, inner, frozenset(filter(None, above)), identity)

    def lies_in(self, other: "_Spot") -> bool:
        """Tell whether it is another, or below it."""
        if other.identity in self.above:
            return True
        return self.device == other.device and self.inner.is_relative_to(other.inner)


def require_apart(folders: Iterable[Path], store: FolderStore, database: Database) -> None:
    """Make sure that folders of microscope files hold no storage and no ledger, nor lie in one.

    Raises
    ------
    ConfigError
        If one does, by whatever path, link or mount.
    """
    mounts = list(_mounts())
    storage = _Spot.of(store.root, mounts)
    ours = [(*named, _Spot.of(named[1], mounts)) for named in _ours(store, database)]
    for folder in folders:
        spot = _Spot.of(folder, mounts)
        for what, path, variable, place in ours:
            if place.lies_in(spot):
                raise ConfigError(
                    f"{folder}: {what} {path} lies in this folder of microscope files; let "
                    f"{variable} name a place outside of it, or register only the sub-folder "
                    "that holds the images"
                )
        if spot.lies_in(storage):
            raise ConfigError(
                f"{folder}: this folder of microscope files lies in the storage of planes "
                f"{store.root}; let IMEXTRACT_STORAGE_URL name a folder that holds nothing else, "
                "or move the microscope files"
            )


def require_registered_apart(
    store: FolderStore, database: Database, experiment_id: int | None = None
) -> None:
    """Make sure of the same for the folders of an experiment, or of all.

    Raises
    ------
    ConfigError, LedgerError
    """
    with database.reading() as session:
        folders = registered_folders(session, experiment_id)
    require_apart(map(Path, folders), store, database)


def _ours(store: FolderStore, database: Database) -> Iterator[tuple[str, Path, str]]:
    # What is being written may have been put elsewhere by a link.
    for path in (store.root, store.incoming):
        yield "the storage of planes", path, "IMEXTRACT_STORAGE_URL"
    if database.file is not None:
        yield "the database", database.file, "IMEXTRACT_DATABASE_URL"


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None


def _mounts() -> Iterator[_Mount]:
    """Give what the kernel has mounted where, the last to be mounted first."""
    lines = os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).splitlines()
    for line in reversed(lines):
        _, _, device, root, point, *_ = line.split(" ")
        yield _Mount(device, Path(_unescaped(root)), Path(_unescaped(point)))


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)


def _on_disk(real: Path, mounts: Iterable[_Mount]) -> tuple[str, Path]:
    """Tell on which disk, and where on it, a path without links lies."""
    over = [mount for mount in mounts if real.is_relative_to(mount.point)]
    nearest = max(over, key=lambda mount: len(mount.point.parts))
    return nearest.device, nearest.root / real.relative_to(nearest.point)
