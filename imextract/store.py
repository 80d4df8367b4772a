"""Where stored planes lie: whole files under relative locations.

`put` is durable and atomic: written elsewhere in the store, flushed to disk,
renamed, the folder flushed. At any instant, power cut included, a file under its final
name is whole.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
from pathlib import Path
from urllib.parse import unquote, urlsplit

from imextract.errors import ConfigError, DamagedPlaneError, StorageError

__all__ = ["FolderStore", "open_store"]

# Files being written lie here until they are renamed to their final place.
_INCOMING = ".incoming"


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
            probe = self._temporary()
            probe.touch(exist_ok=False)
            probe.unlink()
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
        if not (self.root / _INCOMING).is_dir():
            raise StorageError(
                f"{self.root}: planes were stored here, but the storage is not there; mount it, or "
                f"set IMEXTRACT_STORAGE_URL to where it is (if all is lost: mkdir -p "
                f"{self.root / _INCOMING})"
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

    def put(self, location: str, content: bytes) -> None:
        """Write a file durably; readers see the old one, the new one, never a part.

        Raises
        ------
        StorageError
            If it cannot be written; nothing is left behind.
        """
        path = self.path(location)
        try:
            temporary = self._temporary()
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

    def sweep(self) -> int:
        """Delete what killed writers of this machine left unfinished.

        Returns
        -------
        int
            How many temporary files were deleted.
        """
        count = 0
        try:
            for path in self._incoming().iterdir():
                if _is_left_over(path.name):
                    path.unlink(missing_ok=True)
                    count += 1
        except OSError as error:
            raise self._failure(self._incoming(), "cannot be tidied", error) from error
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

    def _incoming(self) -> Path:
        folder = self.root / _INCOMING
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _temporary(self) -> Path:
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(8)}"
        return self._incoming() / name

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


def _is_left_over(name: str) -> bool:
    """Say whether a temporary file's writer, of this machine, has ended."""
    written_here = re.fullmatch(rf"{re.escape(socket.gethostname())}-(\d+)-[0-9a-f]{{16}}", name)
    return written_here is not None and not _is_running(int(written_here[1]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
