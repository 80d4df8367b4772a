"""The planes that one plainly named file holds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, TiffFile, TiffFileError, TiffPage

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PIXEL_TYPES, SeriesStructure
from imextract.readers.inspection import Inspection
from imextract.readers.tiff import is_tiff
from imextract.registration.candidates import Candidate, candidate_of
from imextract.registration.files import FoundFiles
from imextract.registration.inspected import read_inspection
from imextract.registration.manifest import DataSet
from imextract.registration.ome import OmeImage
from imextract.registration.opening import damage, open_file
from imextract.registration.tiff_header import read_tiff_header

__all__ = ["Look", "NumberedFile", "bare_tiff", "look_at", "numbered_file", "open_numbered_file"]

_PLAIN_COMPRESSIONS = frozenset(
    {
        COMPRESSION.NONE,
        COMPRESSION.LZW,
        COMPRESSION.ADOBE_DEFLATE,
        COMPRESSION.DEFLATE,
        COMPRESSION.PACKBITS,
    }
)
# Flavours whose one page is one plane; others keep more than TIFF tells.
_PLAIN_FLAVOURS = frozenset({"uniform", "imagej", "shaped"})


_UNTOLD = OmeImage(id="series 0")


@dataclass(frozen=True, slots=True)
class NumberedFile:
    """A file that was opened: its images, its reader, what to warn of.

    `candidate` is what Bio-Formats told, where it was asked.
    """

    reader: str
    format_name: str
    images: tuple[tuple[OmeImage, SeriesStructure], ...]
    warnings: tuple[str, ...] = ()
    candidate: Candidate | None = None

    @classmethod
    def plain_tiff(
        cls, structure: SeriesStructure, warnings: tuple[str, ...] = ()
    ) -> "NumberedFile":
        """Describe a TIFF that tifffile reads as Bio-Formats does."""
        return cls("tifffile", "Tagged Image File Format", ((_UNTOLD, structure),), warnings)

    def data_set(self, found: FoundFiles, path: str) -> DataSet:
        """Give the data set that is opened through the file."""
        if self.candidate is None:
            return DataSet(found.files[path], (), self.reader, self.format_name)
        entry, companions = self.candidate.source_files(found)
        metadata = self.candidate.inspection.ome_xml or None
        return DataSet(entry, companions, self.reader, self.format_name, metadata)


@dataclass(frozen=True, slots=True)
class Look:
    """What Bio-Formats makes of a file, who reads it, and what is wrong with it, if anything is."""

    inspection: Inspection
    reader: str
    damaged: str | None


def open_numbered_file(found: FoundFiles, path: str, settings: Settings) -> NumberedFile:
    """Read the headers of a file: a plain TIFF by itself, all else by Bio-Formats.

    Raises
    ------
    SourceFileError
        If the file is damaged or no reader knows it.
    """
    bare = bare_tiff(found, path)
    return bare or numbered_file(found, path, look_at(found.folder / path, found.folder, settings))


def bare_tiff(found: FoundFiles, path: str) -> NumberedFile | None:
    """Read the header of a TIFF of one plane and nothing of a vendor's; None for any other file."""
    header = read_tiff_header(found.folder / path)
    if header is None or not header.is_bare or header.structure.plane_count != 1:
        return None
    missing = _missing(header.end_of_pixels, found.files[path].size_bytes)
    return NumberedFile.plain_tiff(header.structure, missing)


def look_at(path: Path, folder: Path, settings: Settings) -> NumberedFile | Look:
    """Look into a file: a plain TIFF by itself, all else by Bio-Formats.

    Which other files of the folder belong to it is not told yet.

    Raises
    ------
    SourceFileError
        If the file is damaged or no reader knows it.
    """
    plain = _plain_tiff(path) if is_tiff(path) else None
    if plain is not None:
        return plain
    inspection, reader = open_file(path, settings, folder)
    # That reader was opened to be chosen, which a damaged file forbids.
    return Look(inspection, reader, None if reader == "tifffile" else damage(path))


def numbered_file(found: FoundFiles, path: str, look: NumberedFile | Look) -> NumberedFile:
    """Tell what a file holds, by a look into it.

    Raises
    ------
    SourceFileError
        If its pixels cannot be stored, or others than its own are read.
    """
    if isinstance(look, NumberedFile):
        return look
    _check_types(look.inspection)
    return _inspected(candidate_of(found, path, look.inspection), look.reader, look.damaged)


def _plain_tiff(path: Path) -> NumberedFile | None:
    """Read a TIFF of one plain plane; None for any other file.

    Only what both readers are sure to decode alike counts as plain. What is
    not, or makes tifffile stumble, is for Bio-Formats to say.
    """
    try:
        with TiffFile(path) as tiff:
            if not tiff.flags <= _PLAIN_FLAVOURS or len(tiff.pages) != 1:
                return None
            page = tiff.pages.first
            if not _is_plain(page) or not _is_single(tiff):
                return None
            dtype = np.dtype(page.dtype).name
            structure = SeriesStructure(page.imagewidth, page.imagelength, 1, 1, 1, dtype, "XYCZT")
            return NumberedFile.plain_tiff(structure, _texts(damage(path)))
    except (TiffFileError, ValueError, IndexError, KeyError, TypeError, ArithmeticError):
        return None


def _is_plain(page: TiffPage) -> bool:
    return (
        page.dtype is not None
        and page.dtype.name in PIXEL_TYPES
        and page.samplesperpixel == 1
        and page.imagedepth == 1
        and page.photometric == PHOTOMETRIC.MINISBLACK
        and page.compression in _PLAIN_COMPRESSIONS
        and page.fillorder == 1
        and page.bitspersample == page.dtype.itemsize * 8
        and not page.subifds
    )


def _is_single(tiff: TiffFile) -> bool:
    # ImageJ keeps whole stacks behind the header of one page.
    images = (tiff.imagej_metadata or {}).get("images", 1)
    shaped = tiff.shaped_metadata or ()
    return int(images) == 1 and all(np.prod(meta["shape"][:-2]) <= 1 for meta in shaped)


def _check_types(inspection: Inspection) -> None:
    others = {series.dtype for series in inspection.structure} - set(PIXEL_TYPES)
    if others:
        raise SourceFileError(
            f"{inspection.path}: has pixels of type {', '.join(sorted(others))}; expected one of "
            f"{', '.join(PIXEL_TYPES)}; convert the file"
        )


def _texts(text: str | None) -> tuple[str, ...]:
    return () if text is None else (text,)


def _missing(end: int, size: int) -> tuple[str, ...]:
    if end <= size:
        return ()
    # Planned all the same, so that the extraction fails on it by name.
    text = f"is truncated, its planes will fail: pixels end at byte {end}, but the file has {size}"
    return (f"{text}; copy it again from the microscope",)


def _inspected(candidate: Candidate, reader: str, damaged: str | None) -> NumberedFile:
    inspection = candidate.inspection
    inspected = read_inspection(inspection)
    return NumberedFile(
        reader=reader,
        format_name=inspection.format_name,
        images=tuple(zip(inspected.ome.images, inspection.structure, strict=True)),
        warnings=(*inspected.warnings, *_texts(damaged)),
        candidate=candidate,
    )
