"""The pages of a TIFF, decoded wholly or not at all."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tifffile import TiffFile, TiffFileError, TiffPage

from imextract.errors import DamagedPixelsError, SourceFileError
from imextract.planes import PIXEL_TYPES, PixelArray
from imextract.readers.lzw_pages import decode_lzw, is_plain_lzw
from imextract.readers.read_ahead import Part
from imextract.readers.source import refuse_bomb
from imextract.readers.tiff_structure import check_tiff_stream

__all__ = ["check_page", "decode_page", "dtype_name", "only_plane", "open_pages", "page_parts"]


def only_plane(path: Path, stream: BinaryIO) -> PixelArray:
    """Decode the one plane of a TIFF that lies inside another file.

    Raises
    ------
    SourceFileError
        If it is not whole, or holds more.
    """
    count = check_tiff_stream(path, stream).plane_count
    # tifffile takes where the stream stands for the beginning of the file.
    stream.seek(0)
    pages = open_pages(path, stream)
    if count != 1 or len(pages) != 1:
        raise SourceFileError(
            f"{path}: a TIFF inside has {len(pages)} pages of {count} planes, expected one; "
            "read the file with Bio-Formats"
        )
    check_page(path, 0, pages[0])
    plane: PixelArray = decode_page(path, 0, pages[0])[0]
    return plane


def open_pages(path: Path, stream: object) -> list[TiffPage]:
    """Read the directories of a TIFF, one for each page.

    Raises
    ------
    SourceFileError
        If they cannot be read, or there is none.
    """
    try:
        # Only whole pages: tifffile's frames take the first page's tags for all.
        pages = list(TiffFile(stream, _useframes=False).pages)  # type: ignore[arg-type]
    except (TiffFileError, ValueError, IndexError, KeyError) as error:
        raise SourceFileError(
            f"{path}: the directories of the TIFF cannot be read: {error}; replace the file"
        ) from error
    if not pages:
        raise SourceFileError(f"{path}: a TIFF without any image; replace the file")
    return [page for page in pages if isinstance(page, TiffPage)]


def check_page(path: Path, number: int, page: TiffPage) -> None:
    """Check that a page holds planes, of a type and size that can be read.

    Raises
    ------
    SourceFileError
        If it does not.
    """
    name = dtype_name(page)
    if name not in PIXEL_TYPES or page.imagedepth != 1 or page.size == 0:
        raise SourceFileError(
            f"{path}: page {number} holds {page.shape} pixels of type {name}; expected a plane "
            f"of {', '.join(PIXEL_TYPES)}; read the file with Bio-Formats or convert it"
        )
    refuse_bomb(f"{path}: page {number}", page.nbytes, sum(page.databytecounts))


def decode_page(path: Path, number: int, page: TiffPage) -> PixelArray:
    """Decode a page into an array of shape (samples, height, width).

    Raises
    ------
    DamagedPixelsError
        If its pixels are damaged.
    SourceFileError
        If it cannot be decoded for another reason, such as an unknown coding.
    """
    try:
        pixels = decode_lzw(page) if is_plain_lzw(page) else page.asarray()
    except Exception as error:
        # The fence around decoders: imagecodecs has an error class for each codec.
        kind = DamagedPixelsError if _tells_damage(error) else SourceFileError
        raise kind(
            f"{path}: page {number} at offset {page.offset} cannot be decoded: "
            f"{type(error).__name__}: {error}; replace the file by a whole one"
        ) from error
    shape = page.imagelength, page.imagewidth
    if page.axes == "YXS":
        pixels = np.moveaxis(pixels, -1, 0)
    samples: PixelArray = pixels.reshape((page.samplesperpixel, *shape))
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def page_parts(page: TiffPage) -> Iterable[Part]:
    """Give where the strips or tiles of a page lie, as its directory tells."""
    return zip(page.dataoffsets, page.databytecounts, strict=False)


def _tells_damage(error: Exception) -> bool:
    """Whether a decoder stumbled over pixels; tifffile tells of unknown codings otherwise."""
    is_unknown = isinstance(error, NotImplementedError)
    return isinstance(error, RuntimeError | TiffFileError) and not is_unknown


def dtype_name(page: TiffPage) -> str:
    """Give the NumPy name of the pixel type; "unknown" where there is none."""
    return page.dtype.name if page.dtype is not None else "unknown"
