"""A data set opened by Bio-Formats, inside the child process."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imextract.readers import java
from imextract.readers.unwritten import pattern, read_all_written

__all__ = ["NoSuchPlaneError", "OpenDataSet", "StructureChangedError"]

# Bio-Formats' name -> NumPy's; the others are called the same.
_DTYPES = {
    "float": "float32",
    "double": "float64",
    "complex": "complex64",
    "double-complex": "complex128",
}

# They open what is no image: any table of numbers, archives.
_EXCLUDED_READERS = ("TextReader", "ZipReader")


class NoSuchPlaneError(LookupError):
    """The data set has no such series or plane."""


class StructureChangedError(ValueError):
    """A series is not what the caller expects."""


class OpenDataSet:
    """What Bio-Formats opens through one file, kept open.

    Parameters
    ----------
    path
        The file to open, in UTF-8.
    with_metadata
        Whether OME-XML is to be collected.
    """

    def __init__(self, path: str, *, with_metadata: bool = False) -> None:
        self._path = path
        self._looked_at: tuple[int, int] | None = None
        self._first_unwritten: int | None = None
        self._image_reader = java.new(
            "loci/formats/ImageReader", "(Lloci/formats/ClassList;)V", _reader_classes()
        )
        self._reader = java.new(
            "loci/formats/ChannelSeparator",
            "(Lloci/formats/IFormatReader;)V",
            self._image_reader,
        )
        java.call(self._reader, "setFlattenedResolutions", "(Z)V", False)
        _set_options(self._reader)
        self._metadata = _metadata_store(self._reader) if with_metadata else None
        self._find_format(path)
        java.call(self._reader, "setId", "(Ljava/lang/String;)V", path)
        self.series = [self._series(index) for index in range(self._count("getSeriesCount"))]

    def describe(self) -> dict[str, Any]:
        """Give format, structure and files, as JSON can hold them."""
        return {
            "format": java.text(self._reader, "getFormat"),
            "series": self.series,
            **self._files(),
        }

    def ome_xml(self) -> str:
        """Give the metadata as OME-XML."""
        signature = "(Lloci/formats/meta/MetadataRetrieve;)Ljava/lang/String;"
        return str(java.text(_ome_service(), "getOMEXML", signature, self._metadata))

    def series_files(self, series: int) -> list[str]:
        """Give the files that hold one series."""
        self._go_to(series)
        return java.texts(java.call(self._reader, "getSeriesUsedFiles", "()[Ljava/lang/String;"))

    def read(
        self, series: int, plane: int, expected: dict[str, Any]
    ) -> tuple[NDArray[np.uint8], int | None]:
        """Read the bytes of one plane of a series that is as expected.

        Returns
        -------
        tuple of ndarray and int or None
            The bytes, and where the first of those lies that Bio-Formats did not
            write, because the file ends before; None if it wrote all.
        """
        self._go_to(series)
        found = self.series[series]
        changed = {key: found[key] for key in expected if found[key] != expected[key]}
        if changed:
            raise StructureChangedError(f"series {series} has {changed}, expected {expected}")
        if not 0 <= plane < found["plane_count"]:
            raise NoSuchPlaneError(f"no plane {plane}: series {series} has {found['plane_count']}")
        size = found["size_x"] * found["size_y"] * found["bytes_per_pixel"]
        samples = self._count_of(self._image_reader, "getRGBChannelCount")
        if samples == 1:
            return read_all_written(functools.partial(_open_bytes, self._reader, plane, size))
        pixels = _open_bytes(self._reader, plane, size, over_pattern=False)
        return pixels, self._unwritten(series, plane, size * samples)

    def _unwritten(self, series: int, plane: int, size: int) -> int | None:
        """Tell what was not written of all samples of pixels.

        The separator reads them into memory of its own; so they are read once more.
        """
        original = java.call(self._reader, "getOriginalIndex", "(I)I", plane)
        if self._looked_at != (series, original):
            whole = functools.partial(_open_bytes, self._image_reader, original, size)
            _, self._first_unwritten = read_all_written(whole)
            self._looked_at = series, original
        return self._first_unwritten

    def close(self) -> None:
        """Close the files."""
        java.call(self._reader, "close", "()V")

    def _find_format(self, path: str) -> None:
        """Choose the reader, as opening does first: a hundred look at the file's beginning."""
        # Of an empty file, Bio-Formats would log twice that it is.
        if Path(path).stat().st_size > 0:
            with java.small_buffers():
                signature = "(Ljava/lang/String;)Lloci/formats/IFormatReader;"
                java.call(self._image_reader, "getReader", signature, path)

    def _count(self, name: str) -> int:
        return self._count_of(self._reader, name)

    @staticmethod
    def _count_of(reader: java.JavaObject, name: str) -> int:
        return int(java.call(reader, name, "()I"))

    def _go_to(self, series: int) -> None:
        if not 0 <= series < len(self.series):
            raise NoSuchPlaneError(f"no series {series}: the data set has {len(self.series)}")
        java.call(self._reader, "setSeries", "(I)V", series)

    def _series(self, index: int) -> dict[str, Any]:
        java.call(self._reader, "setSeries", "(I)V", index)
        number = self._count("getPixelType")
        name = java.pixel_type(number)
        return {
            "size_x": self._count("getSizeX"),
            "size_y": self._count("getSizeY"),
            "size_z": self._count("getSizeZ"),
            "size_c": self._count("getSizeC"),
            "size_t": self._count("getSizeT"),
            "dtype": _DTYPES.get(name, name),
            "dimension_order": java.text(self._reader, "getDimensionOrder"),
            "plane_count": self._count("getImageCount"),
            "little_endian": bool(java.call(self._reader, "isLittleEndian", "()Z")),
            "bytes_per_pixel": java.bytes_per_pixel(number),
        }

    def _files(self) -> dict[str, Any]:
        try:
            used = java.texts(java.call(self._reader, "getUsedFiles", "()[Ljava/lang/String;"))
            metadata = java.texts(
                java.call(self._reader, "getUsedFiles", "(Z)[Ljava/lang/String;", True)
            )
            java.call(self._reader, "setSeries", "(I)V", 0)
            first = self.series_files(0)
        except java.JavaException as error:
            # Some readers fail here when files of the set are missing.
            return {"used_files": None, "files_error": ": ".join(java.describe(error))}
        by_series = len(self.series) == 1 or len(first) < len(used)
        return {"used_files": used, "metadata_files": metadata, "files_by_series": by_series}


def _open_bytes(
    reader: java.JavaObject, plane: int, size: int, over_pattern: bool
) -> NDArray[np.uint8]:
    """Let a reader write a plane into memory that holds the pattern, or zeros."""
    memory = pattern(size) if over_pattern else np.zeros(size, np.uint8)
    pixels = java.call(reader, "openBytes", "(I[B)[B", plane, java.byte_array(memory))
    array: NDArray[np.uint8] = np.asarray(pixels).view(np.uint8)
    if array.size != size:
        raise StructureChangedError(f"plane {plane} has {array.size} bytes, expected {size}")
    return array


def _reader_classes() -> java.JavaObject:
    signature = "()Lloci/formats/ClassList;"
    classes = java.static("loci/formats/ImageReader", "getDefaultReaderClasses", signature)
    for name in _EXCLUDED_READERS:
        excluded = java.class_of(f"loci.formats.in.{name}")
        java.call(classes, "removeClass", "(Ljava/lang/Class;)V", excluded)
    return classes


def _set_options(reader: java.JavaObject) -> None:
    """Open OME-TIFFs of which a file is missing: the planes of the others are there."""
    options = java.new("loci/formats/in/DynamicMetadataOptions")
    names = "(Ljava/lang/String;Ljava/lang/String;)V"
    java.call(options, "set", names, "ometiff.fail_on_missing_tiff", "false")
    signature = "(Lloci/formats/in/MetadataOptions;)V"
    java.call(reader, "setMetadataOptions", signature, options)


def _ome_service() -> java.JavaObject:
    factory = java.new("loci/common/services/ServiceFactory")
    return java.call(
        factory,
        "getInstance",
        "(Ljava/lang/Class;)Lloci/common/services/Service;",
        java.class_of("loci.formats.services.OMEXMLService"),
    )


def _metadata_store(reader: java.JavaObject) -> java.JavaObject:
    signature = "()Lloci/formats/ome/OMEXMLMetadata;"
    store = java.call(_ome_service(), "createOMEXMLMetadata", signature)
    java.call(reader, "setMetadataStore", "(Lloci/formats/meta/MetadataStore;)V", store)
    return store
