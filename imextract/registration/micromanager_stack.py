"""Micro-Manager's stacks: which plane of the acquisition each page of a file is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage

from imextract.errors import SourceFileError
from imextract.readers.source import open_source
from imextract.registration.micromanager_json import Coordinates, Facts, coordinates, facts

__all__ = ["MicroManagerStack", "StackPage", "is_micromanager", "read_stack"]

_METADATA_TAG = 51123


@dataclass(frozen=True, slots=True)
class StackPage:
    """A page: what it is and what is told of it."""

    page: int
    coordinates: Coordinates
    facts: Facts


@dataclass(frozen=True, slots=True)
class MicroManagerStack:
    """The pages of a file; `summary` is what it tells of its acquisition."""

    pages: tuple[StackPage, ...]
    summary: Mapping[str, Any]


def is_micromanager(path: Path) -> bool:
    """Tell whether a TIFF was written by Micro-Manager as a stack."""
    try:
        with open_source(path) as stream:
            return bool(TiffFile(stream).is_micromanager)
    except Exception:  # noqa: BLE001  tifffile meets damage with errors of any kind
        return False


def read_stack(path: Path) -> MicroManagerStack:
    """Read which planes a file holds.

    The index at the head of the file tells, and each page does again. The
    index is missing where the acquisition was aborted.

    Raises
    ------
    SourceFileError
        If the file is damaged, or the two contradict each other.
    """
    try:
        with open_source(path) as stream:
            return _read(path, TiffFile(stream, _useframes=False))
    except SourceFileError:
        raise
    except Exception as error:  # tifffile meets damage with errors of any kind
        raise SourceFileError(
            f"{path}: the planes of the stack cannot be told: {type(error).__name__}: {error}; "
            "copy the file again from the microscope"
        ) from error


def _read(path: Path, tiff: TiffFile) -> MicroManagerStack:
    told = tiff.micromanager_metadata or {}
    indexed = _indexed(told.get("IndexMap"))
    pages = []
    for number, page in enumerate(tiff.pages):
        tag = page.tags.get(_METADATA_TAG) if isinstance(page, TiffPage) else None
        entry = None if tag is None else tag.value
        own = coordinates(entry)
        by_index = indexed.get(page.offset, own)
        if by_index is None:
            raise SourceFileError(
                f"{path}: page {number} does not tell which plane it is; expected an index or "
                "metadata of Micro-Manager; register the file with --microscope bioformats"
            )
        if own is not None and _differ(own, by_index):
            raise SourceFileError(
                f"{path}: page {number} is {own} by its own metadata, but {by_index} by the "
                "index of the file; register the file with --microscope bioformats"
            )
        pages.append(StackPage(number, by_index, facts(entry)))
    return MicroManagerStack(tuple(pages), told.get("Summary") or {})


def _indexed(index: NDArray[np.uint32] | None) -> dict[int, Coordinates]:
    """Give the coordinates of each directory's offset."""
    rows = [] if index is None else index.tolist()
    return {
        offset: Coordinates(position, channel, zplane, tpoint)
        for channel, zplane, tpoint, position, offset in rows
    }


def _differ(own: Coordinates, other: Coordinates) -> bool:
    # Versions disagree on whether a page knows its position.
    return (own.channel, own.zplane, own.tpoint) != (other.channel, other.zplane, other.tpoint)
