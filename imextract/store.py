"""Where stored planes lie: whole files under relative locations.

`put` is durable and atomic: written elsewhere in the store, flushed to disk,
renamed, the folder flushed. At any instant, power cut included, a file under its final
name is whole.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from imextract.durable import Bytes, flush, read_from_disk, write_flushed
from imextract.errors import ConfigError, DamagedPlaneError, StorageError

__all__ = ["FolderStore", "open_store"]

T = TypeVar("T")

# Files being written lie here until they are renamed to their final place.
_INCOMING = ".incoming"

_LONG_OVER_S = 24 * 3600

# What file systems say that have no second names for a file.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def open_store(url: str) -> "FolderStore":
    """Give the store of a URL.

    Parameters
    ----------
    url
        A path, or a ``file://`` URL.

    Raises
    ------
    ConfigError
        If the URL is of a kind that is not supported.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return FolderStore(Path(unquote(urlsplit(url).path)))
    if "://" in url:
        raise ConfigError(
            f"IMEXTRACT_STORAGE_URL={url}: storage of kind {scheme}:// is not supported; "
            "give a folder, as a path or a file:// URL"
        )
    return FolderStore(Path(url).expanduser())


class FolderStore:
    """Files in a folder, on any POSIX file system."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        # Folders whose entries are known to be on the disk.
        self._durable: set[Path] = set()

    def check(self) -> None:
        """Make sure that planes can be written; make the storage if there is none.

        Raises
        ------
        StorageError
            If the folder cannot be made or written.
        """
        try:
            self._make_folder(self.incoming)
            self._clock()
        except OSError as error:
            raise self._failure(self.root, "cannot be written", error) from error

    def require(self) -> None:
        """Make sure that the storage is there, where planes were stored before.

        Raises
        ------
        StorageError
            If it is not: a disk that is not mounted looks like an empty folder,
            and must not be taken for the loss of all planes.
        """
        if not self.incoming.is_dir():
            raise StorageError(
                f"{self.root}: planes were stored here, but the storage is not there; mount it, or "
                f"set IMEXTRACT_STORAGE_URL to where it is (if all is lost: mkdir -p "
                f"{self.incoming})"
            )

    def path(self, location: str) -> Path:
        """Give the path of a location, which must lie inside the store.

        Raises
        ------
        StorageError
            If the location leads out of the store.
        """
        path = Path(os.path.normpath(self.root / location))
        if not path.is_relative_to(self.root) or path == self.root:
            raise StorageError(
                f"stored plane {location!r} lies outside the storage {self.root}; "
                "the database was tampered with or belongs to other storage"
            )
        return path

    def put(self, location: str, content: Bytes, *, replaces: bool = False) -> None:
        """Write a file durably; readers see the old one, the new one, never a part.

        Parameters
        ----------
        replaces
            Put it in the place of one that is there. Else who was thought dead, and
            comes late, would put his in the place of one that was proven since.

        Raises
        ------
        StorageError
            If it cannot be written, or there is one; nothing is left behind.
        """
        path = self.path(location)
        try:
            self._place(path, content, os.rename if replaces else _name_new)
        except StorageError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self.require()
            raise self._failure(path, "cannot be written", error) from error

    def secure(self, location: str) -> None:
        """Make a file durable that somebody put there, who may have been killed meanwhile.

        Raises
        ------
        StorageError
            If it cannot be flushed to disk.
        """
        path = self.path(location)
        try:
            flush(path)
            self._make_folder(path.parent)
            flush(path.parent)
        except OSError as error:
            raise self._failure(path, "cannot be flushed", error) from error

    def get(self, location: str, *, from_disk: bool = False) -> Bytes:
        """Read a whole file.

        Parameters
        ----------
        from_disk
            What is on the disk, and not what the system still holds in memory.

        Raises
        ------
        DamagedPlaneError, StorageError
            As `read`.
        """
        read: Callable[[Path], Bytes] = read_from_disk if from_disk else Path.read_bytes
        return self.read(location, read)

    def read(self, location: str, read: Callable[[Path], T]) -> T:
        """Read of a file what a function does.

        Raises
        ------
        DamagedPlaneError
            If there is no such file.
        StorageError
            If it cannot be read.
        """
        found = self._read(location, read)
        if found is None:
            raise DamagedPlaneError(
                f"{self.path(location)}: the stored plane is missing; run the extraction again"
            )
        return found

    def find(self, location: str) -> bytes | None:
        """Read a whole file, as `get`; None if there is none.

        Raises
        ------
        StorageError
            If it cannot be read.
        """
        return self._read(location, Path.read_bytes)

    def remove(self, location: str, content: bytes) -> None:
        """Delete a file, if it still holds just this.

        Raises
        ------
        StorageError
            If it is there and cannot be deleted.
        """
        path = self.path(location)
        try:
            if path.read_bytes() == content:
                path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure(path, "cannot be deleted", error) from error

    def sizes(self, folder: str) -> dict[str, int]:
        """Give the size in bytes of every file directly in a folder of the store."""
        path = self.path(folder)
        try:
            with os.scandir(path) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._failure(path, "cannot be listed", error) from error

    def sweep(self) -> int:
        """Delete what killed writers left unfinished: of other machines, after a day.

        Returns
        -------
        int
            How many temporary files were deleted.
        """
        if not self.incoming.is_dir():
            return 0
        count = 0
        try:
            now_s = self._clock()
            for path in self.incoming.iterdir():
                if _is_left_over(path, now_s):
                    path.unlink(missing_ok=True)
                    count += 1
        except OSError as error:
            raise self._failure(self.incoming, "cannot be tidied", error) from error
        return count

    def remove_tree(self, folder: str) -> None:
        """Delete a folder of the store and all in it.

        Raises
        ------
        StorageError
            If something of it cannot be deleted.
        """
        path = self.path(folder)
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failure(path, "cannot be deleted", error) from error

    @property
    def incoming(self) -> Path:
        """Where files lie while they are written."""
        return self.root / _INCOMING

    def _temporary(self) -> Path:
        # Its folder is not made here: where a disk was unmounted, nothing may be stored.
        return self.incoming / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"

    def _clock(self) -> float:
        """Give the time, in s, by which the storage dates its files."""
        probe = self._temporary()
        probe.touch(exist_ok=False)
        try:
            return probe.stat().st_mtime
        finally:
            probe.unlink()

    def _place(self, path: Path, content: Bytes, name: Callable[[Path, Path], None]) -> None:
        temporary = self._temporary()
        try:
            write_flushed(temporary, content)
            self._make_folder(path.parent)
            name(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        try:
            flush(path.parent)
        except OSError:
            # It must not be found and believed: a disk that could not write
            # says so only once.
            with contextlib.suppress(OSError):
                path.unlink()
            raise

    def _read(self, location: str, read: Callable[[Path], T]) -> T | None:
        path = self.path(location)
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except StorageError:
            raise
        except OSError as error:
            raise self._failure(path, "cannot be read", error) from error

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose entry, and those of the folders above it, are on the disk."""
        is_given = self.root not in folder.parents
        if folder.is_dir() and (is_given or folder in self._durable):
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        # Also where it was there: whoever made it may have been killed before this.
        flush(folder.parent)
        self._durable.add(folder)

    @staticmethod
    def _failure(path: Path, what: str, error: OSError) -> StorageError:
        reason = error.strerror or str(error)
        return StorageError(
            f"{path}: storage {what}: {reason}; mend the disk, its space or its permissions "
            "and run again, only what is missing is redone"
        )


def _name_new(temporary: Path, path: Path) -> None:
    """Give a file its final name, which no other file may have."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Here a look and a rename must do.
        if os.path.lexists(path):
            raise _taken(path) from error
        temporary.rename(path)
    else:
        temporary.unlink()


def _taken(path: Path) -> StorageError:
    return StorageError(
        f"{path}: expected no stored plane, but another run has stored it meanwhile, and it is "
        "kept; run again, which takes it over if it is whole"
    )


def _is_left_over(path: Path, now_s: float) -> bool:
    """Say whether a temporary file's writer has ended, or is of elsewhere and long over."""
    written = re.fullmatch(r"(.+)-(\d+)-[0-9a-f]{16}", path.name)
    if written is None:
        return False
    if written[1] == socket.gethostname() and not _is_running(int(written[2])):
        return True
    # By the storage's own clock; to write a plane takes seconds.
    with contextlib.suppress(FileNotFoundError):
        return now_s - path.stat().st_mtime > _LONG_OVER_S
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
