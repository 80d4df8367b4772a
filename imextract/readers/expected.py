"""The files of a data set as they were when it was registered."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imextract.errors import SourceFileError

__all__ = ["MOST_OPEN", "ExpectedFile", "file_problems", "refuse_changed"]

# Data sets kept open at a time, by whoever reads planes and by the Bio-Formats
# process alike: a projection may go round as many as it has sources.
MOST_OPEN = 16


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file with the size and the modification time that it must have."""

    path: Path
    size_bytes: int
    mtime_ns: int

    @classmethod
    def as_found(cls, path: Path) -> Self:
        """Expect a file to stay as it is now."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    def problem(self) -> str | None:
        """Say what is wrong with the file, if anything is."""
        try:
            found = self.path.stat()
        except OSError as error:
            return (
                f"{self.path}: {error.strerror or error}; registered with {self.size_bytes} bytes"
            )
        if found.st_size != self.size_bytes:
            return f"{self.path}: {found.st_size} bytes, registered with {self.size_bytes}"
        if found.st_mtime_ns != self.mtime_ns:
            return f"{self.path}: changed since it was registered (modification time)"
        return None


def file_problems(files: Iterable[ExpectedFile]) -> dict[Path, str]:
    """Give what is wrong, by file; nothing for files that are as expected."""
    problems = {file.path: file.problem() for file in files}
    return {path: problem for path, problem in problems.items() if problem is not None}


def refuse_changed(path: Path, files: Iterable[ExpectedFile]) -> None:
    """Refuse a data set of which a file is not as it was registered.

    Raises
    ------
    SourceFileError
        If one is not.
    """
    problems = file_problems(files)
    if problems:
        raise SourceFileError(
            f"{path}: not the file that was registered: {'; '.join(problems.values())}; "
            "put the file back or register the folder again"
        )
