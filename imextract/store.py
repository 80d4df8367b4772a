"""Where stored planes lie: whole files under relative locations.

`put` is durable and atomic: written beside, flushed to disk, renamed, the
folder flushed. At any instant, power cut included, a file under its final
name is whole.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imextract.errors import ConfigError, DamagedPlaneError, StorageError

__all__ = ["FolderStore", "open_store"]

_TEMPORARY = ".imextract-"


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

    def check(self) -> None:
        """Make sure that planes can be written.

        Raises
        ------
        StorageError
            If the folder cannot be made or written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f"{_TEMPORARY}{secrets.token_hex(8)}"
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            raise self._failure(self.root, "cannot be written", error) from error

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

    def put(self, location: str, content: bytes) -> None:
        """Write a file durably; readers see the old one, the new one, never a part.

        Raises
        ------
        StorageError
            If it cannot be written; nothing is left behind.
        """
        path = self.path(location)
        temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            self._make_folder(path.parent)
            try:
                _write_flushed(temporary, content)
                temporary.rename(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            _flush_folder(path.parent)
        except OSError as error:
            raise self._failure(path, "cannot be written", error) from error

    def get(self, location: str) -> bytes:
        """Read a whole file.

        Raises
        ------
        DamagedPlaneError
            If there is no such file.
        StorageError
            If it cannot be read.
        """
        path = self.path(location)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise DamagedPlaneError(
                f"{path}: the stored plane is missing; run the extraction again"
            ) from error
        except OSError as error:
            raise self._failure(path, "cannot be read", error) from error

    def remove(self, location: str) -> bool:
        """Delete a file; say whether there was one.

        Raises
        ------
        StorageError
            If it is there and cannot be deleted.
        """
        path = self.path(location)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failure(path, "cannot be deleted", error) from error
        return True

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

    def sweep(self, folder: str) -> int:
        """Delete what interrupted writers left anywhere below a folder.

        Only call it while nobody writes there.

        Returns
        -------
        int
            How many temporary files were deleted.
        """
        count = 0
        try:
            for path in _walk_files(self.path(folder)):
                if path.name.startswith(_TEMPORARY):
                    path.unlink(missing_ok=True)
                    count += 1
        except OSError as error:
            raise self._failure(self.path(folder), "cannot be tidied", error) from error
        return count

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir(exist_ok=True)
            # A folder's own entry is durable only when its parent is flushed.
            _flush_folder(new.parent)

    @staticmethod
    def _failure(path: Path, what: str, error: OSError) -> StorageError:
        reason = error.strerror or str(error)
        return StorageError(
            f"{path}: storage {what}: {reason}; mend the disk, its space or its permissions "
            "and run again, only what is missing is redone"
        )


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("xb", buffering=0) as file:
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _walk_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent, name)
