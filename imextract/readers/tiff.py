"""Plain TIFF, read with tifffile: fast, and never a pixel that is not there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tifffile import COMPRESSION, TiffPage

from imextract.closing import Closing
from imextract.config import Settings
from imextract.errors import DamagedPixelsError, PlaneNotFoundError, SourceFileError
from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.expected import ExpectedFile, refuse_changed
from imextract.readers.inspection import Inspection
from imextract.readers.read_ahead import read_parts_ahead
from imextract.readers.source import open_source
from imextract.readers.tiff_pages import (
    check_page,
    decode_page,
    dtype_name,
    open_pages,
    page_parts,
)
from imextract.readers.tiff_structure import check_tiff, is_tiff

__all__ = ["TiffReader", "check_tiff", "is_tiff", "tiff_planes"]

# As Bio-Formats calls the TIFFs whose planes are their pages.
_FORMATS = frozenset({"Tagged Image File Format", "Metamorph STK", "Metamorph TIFF"})

# The tag of a MetaMorph stack (UIC2) whose count is that of its planes.
_STK_PLANES = 33629


class TiffReader(Closing):
    """A TIFF of equal pages, page by page; samples are separate planes.

    Plane i is sample ``i % samples`` of page ``i // samples``. The planes of a
    MetaMorph stack (STK), which has one directory for all, count as pages.

    Parameters
    ----------
    path
        The file.
    settings
        Not needed to read TIFF.
    companions
        The file as it was registered.
    folder
        Not needed: no other file is read.

    Raises
    ------
    SourceFileError
        If the file is no TIFF, is not whole, or its pages differ.
    """

    knows_dimensions = False

    def __init__(
        self,
        path: Path,
        settings: Settings | None = None,  # noqa: ARG002  as every reader is opened
        companions: Sequence[ExpectedFile] = (),
        folder: Path | None = None,  # noqa: ARG002  it reads no other file
    ) -> None:
        refuse_changed(path, companions)
        check_tiff(path)
        self._path = path
        self._stream = open_source(path)
        try:
            self._pages = open_pages(path, self._stream)
            self._samples = self._uniform_samples()
            self._stack_size = _stack_size(path, self._pages)
        except BaseException:
            self._stream.close()
            raise
        self._decoded: tuple[int, PixelArray] | None = None

    @classmethod
    def may_read(cls, inspection: Inspection) -> bool:
        """Say whether a file is a TIFF of one series whose planes are its pages."""
        is_known = inspection.format_name in _FORMATS
        is_alone = inspection.used_files == (inspection.path,) and len(inspection.structure) == 1
        return is_known and is_alone and is_tiff(inspection.path)

    @property
    def structure(self) -> tuple[SeriesStructure, ...]:
        """The one series of the file; pages are taken as time points."""
        first = self._pages[0]
        return (
            SeriesStructure(
                size_x=first.imagewidth,
                size_y=first.imagelength,
                size_z=1,
                size_c=self._samples,
                size_t=self._page_count,
                dtype=dtype_name(first),
                dimension_order="XYCZT",
            ),
        )

    def read_plane(self, ref: PlaneRef) -> PixelArray:
        """Read one plane as stored, as `PlaneReader.read_plane`."""
        count = self._page_count * self._samples
        if ref.series != 0 or not 0 <= ref.plane < count:
            raise PlaneNotFoundError(
                f"{self._path}: no plane {ref.plane} of series {ref.series}: "
                f"the file has series 0 with {count} planes; register the folder again"
            )
        page, sample = divmod(ref.plane, self._samples)
        plane: PixelArray
        if self._samples == 1:
            # Nobody else holds it: no copy is needed.
            (plane,) = self._decode(page)
        else:
            plane = self._page(page)[sample].copy()
        return plane

    def prefetch(self, ref: PlaneRef) -> None:
        """Have the disk read the page of a plane."""
        number = ref.plane // self._samples
        if self._stack_size is None and 0 <= number < len(self._pages):
            read_parts_ahead(self._stream, page_parts(self._pages[number]))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _page(self, number: int) -> PixelArray:
        """Give the samples of a page, kept until another page is read."""
        if self._decoded is None or self._decoded[0] != number:
            self._decoded = number, self._decode(number)
        return self._decoded[1]

    def _decode(self, number: int) -> PixelArray:
        if self._stack_size is None:
            return decode_page(self._path, number, self._pages[number])
        return _read_of_stack(self._stream, self._pages[0], number)

    @property
    def _page_count(self) -> int:
        return len(self._pages) if self._stack_size is None else self._stack_size

    def _uniform_samples(self) -> int:
        first = self._pages[0]
        for number, page in enumerate(self._pages):
            check_page(self._path, number, page)
            if page.hash != first.hash:
                raise SourceFileError(
                    f"{self._path}: page {number} differs from page 0 in size, type or coding; "
                    "read the file with Bio-Formats"
                )
        return int(first.samplesperpixel)


def tiff_planes(
    path: Path,
    damages: list[str] | None = None,
    shape: tuple[int, ...] | None = None,
    first: int = 0,
) -> Iterator[PixelArray]:
    """Give every plane of a TIFF that can be decoded with certainty, page by page.

    Parameters
    ----------
    damages
        What is wrong with pages whose pixels are damaged is put in here.
    shape
        Only planes of this (height, width) are decoded; of a slide, others may not fit memory.
    first
        The page to begin with; those before it come last.
    """
    with open_source(path) as stream:
        pages = open_pages(path, stream)
        stack_size = _stack_size(path, pages)
        if stack_size is not None:
            for number in range(stack_size):
                yield from _read_of_stack(stream, pages[0], number)
            return
        numbered = list(enumerate(pages))
        for number, page in numbered[first:] + numbered[:first]:
            if shape not in (None, (page.imagelength, page.imagewidth)):
                continue
            try:
                check_page(path, number, page)
                yield from decode_page(path, number, page)
            except SourceFileError as error:
                # Such a page proves nothing; others of the file may.
                if damages is not None and isinstance(error, DamagedPixelsError):
                    damages.append(error.message)


def _stack_size(path: Path, pages: Sequence[TiffPage]) -> int | None:
    """Give the number of planes of a MetaMorph stack; None for any other TIFF.

    Raises
    ------
    SourceFileError
        If the planes do not lie one after the other, as they are known to.
    """
    first = pages[0]
    tag = first.tags.get(_STK_PLANES)
    if tag is None or len(pages) > 1 or tag.count == 1:
        return None
    offsets, sizes = first.dataoffsets, first.databytecounts
    ends = [offset + size for offset, size in zip(offsets, sizes, strict=True)]
    is_contiguous = list(offsets[1:]) == ends[:-1] and sum(sizes) == first.nbytes
    if first.compression != COMPRESSION.NONE or first.samplesperpixel != 1 or not is_contiguous:
        raise SourceFileError(
            f"{path}: a MetaMorph stack of {tag.count} planes that are compressed or scattered; "
            "read the file with Bio-Formats"
        )
    return int(tag.count)


def _read_of_stack(stream: BinaryIO, page: TiffPage, number: int) -> PixelArray:
    """Read one plane of a MetaMorph stack, of shape (1, height, width)."""
    stream.seek(page.dataoffsets[0] + number * page.nbytes)
    # That the file is long enough was checked when it was opened.
    stored = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    plane = np.frombuffer(stream.read(page.nbytes), stored)
    shaped: PixelArray = plane.reshape((1, page.imagelength, page.imagewidth))
    return shaped.astype(stored.newbyteorder("="))
