"""Walking a folder: which files it holds."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.registration.manifest import Problem, SourceFile

__all__ = [
    "FoundFiles",
    "changes_since",
    "find_files",
    "first_reasons",
    "is_empty",
    "names_alike",
    "natural_order",
]

_IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini"})
_IGNORED_SUFFIXES = (".bfmemo",)
_NUMBER = re.compile("[0-9]+")
_MOST_REASONS = 3

# A person reads some, not a million of the same.
_MOST_NAMED = 20

_LINKED_REMEDY = "; links are not followed, register the folder that has the files themselves"


@dataclass(slots=True)
class FoundFiles:
    """The regular files of a folder, by path relative to it, in natural order.

    `claimed` are files that a microscope type accounts for already, each with
    the entry of its claim; who opens files leaves these alone.
    """

    folder: Path
    files: dict[str, SourceFile] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    claimed: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the folder; that of the root is empty."""
        return self.folder.name or "plate"

    def by_folder(self) -> dict[str, list[str]]:
        """Give the paths right in each folder; asked once for all claims, not for each."""
        paths: dict[str, list[str]] = {}
        for path in self.files:
            paths.setdefault(path.rpartition("/")[0], []).append(path)
        return paths


def natural_order(path: str) -> tuple[str, str]:
    """Sort key in which "s2" comes before "s10"; small, as a plate has many thousands."""
    # The path itself at last, since "1" and "01" are the same number.
    return _NUMBER.sub(_by_size, path), path


def _by_size(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    # The longer number is the larger; any number comes before any text.
    return f"\0{chr(len(digits))}{digits}"


def is_empty(file: SourceFile) -> bool:
    """Tell whether a file holds nothing; the name of a `.fake` file is its content."""
    return file.size_bytes == 0 and not file.path.endswith(".fake")


def first_reasons(problems: Sequence[Problem]) -> str:
    """Put the first problems with a file into words, for an error that sums them up."""
    named = [f"{problem.file}: {problem.text}" for problem in problems if problem.file]
    more = f"; and {len(named) - _MOST_REASONS} more" if len(named) > _MOST_REASONS else ""
    return f" ({'; '.join(named[:_MOST_REASONS])}{more})" if named else ""


def find_files(folder: Path) -> FoundFiles:
    """Find every file below a folder; hidden and system files are left out.

    Raises
    ------
    RegistrationError
        If the folder is missing, is no folder, cannot be read or is empty.
    """
    found = FoundFiles(_existing_folder(folder))
    links: list[str] = []
    unsorted = {file.path: file for file in _walk(found, links)}
    found.problems += _link_problems(found, links)
    found.files = {path: unsorted[path] for path in sorted(unsorted, key=natural_order)}
    if not found.files:
        raise RegistrationError(
            f"{folder}: the folder holds no files{first_reasons(found.problems)}; "
            "give the folder that the microscope wrote to"
        )
    return found


def names_alike(found: FoundFiles) -> list[Problem]:
    """Name files whose names differ in upper and lower case only: one may be a stray copy."""
    first: dict[str, str] = {}
    problems = []
    for path in found.files:
        before = first.setdefault(path.casefold(), path)
        if before != path:
            text = f"is named as {before}, but for upper and lower case: both are taken as they are"
            problems.append(Problem("warning", path, text))
    return _first_of(problems, "are named as others, but for upper and lower case")


def changes_since(found: FoundFiles) -> list[Problem]:
    """Look at the folder once more, and name files that came, grew or went meanwhile."""
    now = FoundFiles(found.folder)
    seen = {file.path: file for file in _walk(now, [])}
    problems = []
    for path, file in seen.items():
        before = found.files.get(path)
        if before is None:
            problems.append(Problem("warning", path, "came while the folder was read: left out"))
        elif (before.size_bytes, before.mtime_ns) != (file.size_bytes, file.mtime_ns):
            text = "was written to while the folder was read; register again when all is copied"
            problems.append(Problem("warning", path, text))
    # Hidden files that a data set uses are not found by walking.
    gone = [path for path in found.files.keys() - seen.keys() if not (found.folder / path).exists()]
    problems.extend(Problem("warning", path, "went while the folder was read") for path in gone)
    problems.sort(key=lambda problem: natural_order(problem.file or ""))
    return _first_of(problems, "changed while the folder was read; register when all is copied")


def _first_of(problems: list[Problem], rest: str) -> list[Problem]:
    more = len(problems) - _MOST_NAMED
    if more <= 0:
        return problems
    return [*problems[:_MOST_NAMED], Problem("warning", None, f"{more} more files {rest}")]


def _existing_folder(folder: Path) -> Path:
    if not folder.exists():
        raise RegistrationError(f"{folder}: no such folder; check the path and that it is mounted")
    if not folder.is_dir():
        raise RegistrationError(f"{folder}: expected a folder, got a file; give its parent folder")
    try:
        with os.scandir(folder):
            pass
    except OSError as error:
        raise RegistrationError(
            f"{folder}: the folder cannot be read ({error.strerror}); correct its permissions"
        ) from error
    return folder.resolve()


def _walk(found: FoundFiles, links: list[str]) -> Iterator[SourceFile]:
    """Give the regular files; note symbolic links, and what can be read by nobody."""
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            with os.scandir(found.folder / below) as entries:
                listed = list(entries)
        except OSError as error:
            found.problems.append(
                Problem("warning", below, f"folder cannot be read ({error.strerror}): left out")
            )
            continue
        for entry in listed:
            path = f"{below}/{entry.name}" if below else entry.name
            if _is_ignored(entry.name):
                continue
            if entry.is_symlink():
                links.append(path)
            elif entry.is_dir(follow_symlinks=False):
                pending.append(path)
            else:
                yield from _regular_file(found, entry, path)


def _is_ignored(name: str) -> bool:
    return (
        name.startswith(".")
        or name.lower() in _IGNORED_NAMES
        or name.lower().endswith(_IGNORED_SUFFIXES)
    )


def _link_problems(found: FoundFiles, links: Sequence[str]) -> list[Problem]:
    # What a link within the folder points to is found on its own: following
    # it would register the same file twice, or walk in a circle.
    ordered = sorted(links, key=natural_order)
    named = [
        Problem("warning", path, f"{_where_to(found.folder, path)}: left out{_LINKED_REMEDY}")
        for path in ordered[:_MOST_NAMED]
    ]
    if len(ordered) > _MOST_NAMED:
        text = f"{len(ordered) - _MOST_NAMED} more symbolic links are left out{_LINKED_REMEDY}"
        named.append(Problem("warning", None, text))
    return named


def _where_to(folder: Path, link: str) -> str:
    target = Path(os.path.realpath(folder / link))
    if not target.is_relative_to(folder):
        return f"links to {target}, outside the folder"
    if not target.exists():
        return "links to nothing"
    return f"links to {target.relative_to(folder)} in the folder"


def _regular_file(found: FoundFiles, entry: "os.DirEntry[str]", path: str) -> Iterator[SourceFile]:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        text = f"cannot be examined ({error.strerror}): left out"
        found.problems.append(Problem("warning", path, text))
        return
    if stat.S_ISREG(status.st_mode):
        yield SourceFile(path, status.st_size, status.st_mtime_ns)
    else:
        found.problems.append(Problem("warning", path, "is no regular file: left out"))
