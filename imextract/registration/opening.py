"""Opening a file for registration: what is in it, and which reader will extract it."""

from pathlib import Path

from tifffile import COMPRESSION, TiffFile

from imextract.config import Settings
from imextract.errors import DamagedPixelsError, SourceFileError
from imextract.planes import PlaneRef
from imextract.readers.bioformats import Inspection, inspect_file
from imextract.readers.registry import choose_reader
from imextract.readers.source import open_source
from imextract.readers.tiff import TiffReader, check_tiff, is_tiff
from imextract.readers.tiff_structure import leads_back

__all__ = ["damage", "open_file"]

# Codings for which the bundled Bio-Formats has no name, so that it opens no such file.
_ONLY_TIFFFILE = frozenset(
    {
        COMPRESSION.JPEGXL,
        COMPRESSION.JPEGXL_DNG,
        COMPRESSION.JPEGXR,
        COMPRESSION.LERC,
        COMPRESSION.LZMA,
        COMPRESSION.PNG,
        COMPRESSION.WEBP,
    }
)
# Others tell what their pages are, which tifffile's reader does not ask.
_PLAIN_FLAVOURS = frozenset({"uniform", "shaped"})


def open_file(path: Path, settings: Settings, folder: Path) -> tuple[Inspection, str]:
    """Open a file with Bio-Formats; a plain TIFF of a coding that it does not know with tifffile.

    Returns
    -------
    inspection, reader
        What is in the file, and the name of the reader for its planes.

    Raises
    ------
    UnknownFormatError, SourceFileError
        If neither opens it.
    """
    if leads_back(path):
        # Bio-Formats would follow them until its time is over, or its memory.
        raise SourceFileError(
            f"{path}: the directories of the TIFF lead back to one that was there before, "
            "expected an end of them; replace it by a whole one"
        )
    try:
        inspection = inspect_file(path, settings, folder)
    except SourceFileError:
        if not is_tiff(path) or not _is_of_unknown_coding(path):
            raise
        return _inspect_tiff(path, folder), "tifffile"
    return inspection, choose_reader(inspection, settings)


def damage(path: Path) -> str | None:
    """Say what a TIFF declares but does not hold; None for a whole one, and any other file.

    Bio-Formats gives zeros in place of pixels that are cut off.
    """
    if not is_tiff(path):
        return None
    try:
        check_tiff(path)
    except SourceFileError as error:
        what = error.message.removeprefix(f"{path}: ")
        return f"is truncated or damaged, its planes will fail: {what}"
    return None


def _is_of_unknown_coding(path: Path) -> bool:
    try:
        with open_source(path) as stream:
            tiff = TiffFile(stream)
            is_plain = tiff.flags <= _PLAIN_FLAVOURS
            return is_plain and tiff.pages.first.compression in _ONLY_TIFFFILE
    except Exception:  # noqa: BLE001  tifffile meets damage with errors of any kind
        return False


def _inspect_tiff(path: Path, folder: Path) -> Inspection:
    """Describe a TIFF by its pages, once its first or its last plane was decoded."""
    with TiffReader(path) as reader:
        (series,) = structure = reader.structure
        try:
            reader.read_plane(PlaneRef(0, 0))
        except DamagedPixelsError:
            # Only this one, if others can be read.
            reader.read_plane(PlaneRef(0, series.plane_count - 1))
    return Inspection(
        path=path,
        format_name="Tagged Image File Format",
        structure=structure,
        used_files=(path,),
        metadata_files=(),
        ome_xml="",
        warnings=(),
        folder=folder,
    )
