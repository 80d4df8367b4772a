"""Folders of a tree that are copies of others, found without reading every image."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from imextract.checksum import checksum_of_bytes
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.manifest import Problem, SourceFile

__all__ = ["copied_folders"]

# A person reads some, not a million of the same.
_MOST_NAMED = 20

# So many files of a folder are compared, and so much of the beginning and end of each.
_MOST_COMPARED = 20
_COMPARED_BYTES = 2**16


def copied_folders(found: FoundFiles, images: Collection[str]) -> list[Problem]:
    """Name folders that hold the same files as another.

    Names and sizes of all their files are the same, and what is compared of
    the files' content is. Only the topmost folder of a copy is named.

    Parameters
    ----------
    images
        The files that hold planes: folders without one are nobody's loss.
    """
    problems: list[Problem] = []
    copies: set[str] = set()
    for folders in _alike(found, images):
        original, *others = folders
        for folder in others:
            if folder.rpartition("/")[0] not in copies:
                count = sum(path.startswith(f"{folder}/") for path in found.files)
                problems.append(Problem("warning", folder, _text(original, count)))
            copies.add(folder)
    if len(problems) > _MOST_NAMED:
        text = f"{len(problems) - _MOST_NAMED} more folders are copies of others"
        return [*problems[:_MOST_NAMED], Problem("warning", None, text)]
    return problems


def _text(original: str, count: int) -> str:
    return (
        f"seems to be a copy of {original}: its {count} files have the same names and sizes, and "
        "those that were compared the same content; both are registered. Move one out of the "
        "folder, or leave its lines out of a manifest"
    )


def _alike(found: FoundFiles, images: Collection[str]) -> Iterator[list[str]]:
    """Give folders with the same files, those that hold others first."""
    below: defaultdict[str, list[SourceFile]] = defaultdict(list)
    for file in found.files.values():
        for folder in _folders_above(file.path):
            below[folder].append(file)
    with_images = {folder for path in images for folder in _folders_above(path)}
    outer_first = sorted(with_images, key=lambda folder: (folder.count("/"), natural_order(folder)))
    by_names = _grouped((folder, _names(folder, below[folder])) for folder in outer_first)
    for group in by_names:
        yield from _grouped((one, _content(found.folder, one, below[one])) for one in group)


def _grouped(keyed: Iterable[tuple[str, object]]) -> list[list[str]]:
    """Group folders by what is told of them; those that stand alone are left out."""
    groups: defaultdict[object, list[str]] = defaultdict(list)
    for folder, key in keyed:
        groups[key].append(folder)
    return [folders for folders in groups.values() if len(folders) > 1]


def _folders_above(path: str) -> Iterator[str]:
    folder = path.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _names(folder: str, files: Iterable[SourceFile]) -> int:
    """Give a number that is the same for folders of the same names and sizes."""
    return hash(frozenset((file.path[len(folder) :], file.size_bytes) for file in files))


def _content(root: Path, folder: str, files: list[SourceFile]) -> str:
    """Give a checksum of parts of a folder's files, evenly chosen; its own where one is unread."""
    ordered = sorted(files, key=lambda file: file.path)
    step = max(1, len(ordered) // _MOST_COMPARED)
    parts = bytearray()
    try:
        for file in ordered[::step]:
            parts += _ends(root / file.path, file.size_bytes)
    except OSError:
        return folder
    return checksum_of_bytes(bytes(parts))


def _ends(path: Path, size_bytes: int) -> bytes:
    with path.open("rb") as stream:
        beginning = stream.read(_COMPARED_BYTES)
        stream.seek(max(0, size_bytes - _COMPARED_BYTES))
        return beginning + stream.read(_COMPARED_BYTES)
