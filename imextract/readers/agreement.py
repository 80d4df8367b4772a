"""Whether a reader gives what Bio-Formats gives, tried on a sample of planes."""

from collections.abc import Iterator, Sequence

import numpy as np

from imextract.config import Settings
from imextract.errors import ImextractError, SourceFileError
from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.inspection import Inspection
from imextract.readers.protocol import PlaneReader, ReaderKind
from imextract.readers.tiff import is_tiff

__all__ = ["find_difference", "same_pixels", "sample_planes"]

_MOST_SERIES = 8


def find_difference(kind: ReaderKind, inspection: Inspection, settings: Settings) -> str | None:
    """Say how a reader differs from Bio-Formats; None if it does not.

    The series must have the same sizes and types, and all planes of a sample
    the same pixels. A plane that the reader refuses is damaged where it reads others:
    it fails, whatever Bio-Formats makes of it.
    """
    refused: list[str] = []
    try:
        with kind(inspection.path, settings) as ours:
            if not _are_alike(kind, ours.structure, inspection.structure):
                return f"expected {inspection.structure[:3]}, got {ours.structure[:3]}"
            sample = sample_planes(inspection.structure)
            found = dict(_read_all(ours, sample, refused))
    except (ImextractError, OSError) as error:
        # Whatever a reader cannot honour is left to Bio-Formats.
        return str(error)
    if not found:
        return refused[0]
    return _different_plane(inspection, settings, found)


def same_pixels(one: PixelArray, other: PixelArray) -> bool:
    """Tell whether two planes have the same pixels; nothing is as good as nothing (NaN)."""
    # To look for NaN among integers takes ten times as long as to compare them.
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _read_all(
    reader: PlaneReader, refs: Sequence[PlaneRef], refused: list[str]
) -> Iterator[tuple[PlaneRef, PixelArray]]:
    for ref in refs:
        try:
            yield ref, reader.read_plane(ref)
        except SourceFileError as error:
            refused.append(error.message)


def sample_planes(structure: Sequence[SeriesStructure]) -> tuple[PlaneRef, ...]:
    """Choose planes that tell whether all are counted alike.

    The first and the last plane of the file, the first of series all over it,
    and in the first and the last series one step along each dimension.
    """
    last = len(structure) - 1
    step = max(1, -(-len(structure) // _MOST_SERIES))
    chosen = {PlaneRef(series, 0) for series in range(0, len(structure), step)}
    chosen |= {
        PlaneRef(series, plane) for series in (0, last) for plane in _steps(structure[series])
    }
    return tuple(sorted(chosen))


def _steps(series: SeriesStructure) -> Iterator[int]:
    sizes = {"Z": series.size_z, "C": series.size_c, "T": series.size_t}
    stride = 1
    for dimension in series.dimension_order[2:]:
        if sizes[dimension] > 1:
            yield stride
        stride *= sizes[dimension]
    yield series.plane_count - 1


def _are_alike(
    kind: ReaderKind, ours: Sequence[SeriesStructure], theirs: Sequence[SeriesStructure]
) -> bool:
    if [_pixels(one) for one in ours] != [_pixels(one) for one in theirs]:
        return False
    return not kind.knows_dimensions or [*map(_order, ours)] == [*map(_order, theirs)]


def _pixels(series: SeriesStructure) -> tuple[int, tuple[int, int], str]:
    return series.plane_count, series.shape, series.dtype


def _order(series: SeriesStructure) -> list[tuple[str, int]]:
    """Give the dimensions along which planes are counted, the fastest first."""
    sizes = {"Z": series.size_z, "C": series.size_c, "T": series.size_t}
    return [(axis, sizes[axis]) for axis in series.dimension_order[2:] if sizes[axis] > 1]


def _different_plane(
    inspection: Inspection, settings: Settings, found: dict[PlaneRef, PixelArray]
) -> str | None:
    may_lack_coding = is_tiff(inspection.path)
    with BioFormatsReader(inspection.path, settings, (), inspection.folder) as theirs:
        for ref, plane in found.items():
            try:
                is_same = same_pixels(plane, theirs.read_plane(ref))
            except SourceFileError as error:
                # It knows all codings but some of TIFF: what our reader could decode of
                # others is damaged all the same, as its decoder of Zstd, for one, is stricter.
                if may_lack_coding:
                    continue
                return f"Bio-Formats refuses series {ref.series}, plane {ref.plane}: {error}"
            if not is_same:
                return f"other pixels in series {ref.series}, plane {ref.plane}"
    return None
