"""Which page of which file each plane of an OME-TIFF is, by the TiffData of its OME-XML."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from imextract.errors import SourceFileError
from imextract.planes import SeriesStructure
from imextract.readers.ome_elements import local_name, read_elements

__all__ = ["ImagePages", "OmePages", "PlanePage", "parse_pages"]

_MOST_PLANES = 20_000_000
# A few letters may tell of any number of planes; of more than so many, each has its own.
_MOST_TOLD_AT_ONCE = 2_000_000
_LEAST_OF_A_PLANE = len('<TiffData IFD="0"/>')
_LARGEST = 2**31 - 1
_ORDERS = frozenset({"XYZCT", "XYZTC", "XYCZT", "XYCTZ", "XYTZC", "XYTCZ"})
_DTYPES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True, slots=True)
class PlanePage:
    """A plane and where it lies; `file` is None for the file of the OME-XML itself.

    `uuid` is the identifier that the file is told to have; "" where none is told. A file
    that is told by that alone is "".
    """

    zplane: int
    channel: int
    tpoint: int
    file: str | None
    page: int
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class ImagePages:
    """An image of the OME-XML; `samples` is above 1 where pages hold several channels."""

    id: str
    structure: SeriesStructure
    samples: int
    planes: tuple[PlanePage, ...]


@dataclass(frozen=True, slots=True)
class OmePages:
    """What OME-XML tells of files.

    Attributes
    ----------
    metadata_file, metadata_uuid
        The file that has the whole OME-XML, where this has only its name.
    uuid
        The identifier of the file of the OME-XML itself.
    own_names
        What that file is called by its own OME-XML.
    """

    images: tuple[ImagePages, ...] = ()
    metadata_file: str | None = None
    metadata_uuid: str = ""
    uuid: str = ""
    own_names: frozenset[str] = frozenset()

    @property
    def files(self) -> frozenset[str]:
        """Names of all other files than this."""
        named = {plane.file for image in self.images for plane in image.planes}
        return frozenset(name for name in named if name)


def parse_pages(text: str) -> OmePages:
    """Read the TiffData of OME-XML.

    Raises
    ------
    SourceFileError
        If the text is no XML, carries entities, or its sizes are absurd.
    """
    most = max(_MOST_TOLD_AT_ONCE, len(text) // _LEAST_OF_A_PLANE)
    return read_elements(text, ("start", "end"), lambda events: _gather(events, most))


def _gather(events: Iterator[tuple[str, Element]], most_planes: int) -> OmePages:
    reader = _Reader(most_planes)
    for event, element in events:
        reader.hear(event, element)
    return OmePages(
        tuple(reader.images),
        reader.metadata_file,
        reader.metadata_uuid,
        reader.own_uuid,
        frozenset(reader.own_names),
    )


class _Reader:
    """Gathers images while the XML goes by."""

    def __init__(self, most_planes: int) -> None:
        self._most_planes = most_planes
        self._planes_left = most_planes
        self.images: list[ImagePages] = []
        self.metadata_file: str | None = None
        self.metadata_uuid = ""
        self.own_uuid = ""
        self.own_names: set[str] = set()
        self._has_root = False

    def hear(self, event: str, element: Element) -> None:
        name = local_name(element)
        if event == "start":
            if not self._has_root:
                self._has_root = True
                self.own_uuid = element.get("UUID", "").strip()
        elif name == "BinaryOnly":
            self.metadata_file = element.get("MetadataFile")
            self.metadata_uuid = element.get("UUID", "").strip()
        elif name == "Image":
            pixels = next((child for child in element if local_name(child) == "Pixels"), None)
            if pixels is not None:
                self.images.append(self._image(element, pixels))
            element.clear()

    def _image(self, element: Element, pixels: Element) -> ImagePages:
        identifier = element.get("ID", "")
        structure = _structure(identifier, pixels)
        told = (child.get("SamplesPerPixel") for child in element.iter() if _is_channel(child))
        samples = max((_integer(text, 1) for text in told), default=1)
        planes = () if samples > 1 else tuple(self._planes(identifier, structure, pixels))
        return ImagePages(identifier, structure, samples, planes)

    def _planes(
        self, identifier: str, structure: SeriesStructure, pixels: Element
    ) -> Iterator[PlanePage]:
        blocks = [child for child in pixels if local_name(child) == "TiffData"]
        ones = _counts_from_one(blocks, structure)
        for block in blocks:
            first = tuple(
                _integer(block.get(key), one) - one
                for key, one in zip(("FirstZ", "FirstC", "FirstT"), ones, strict=True)
            )
            start = _plane_index(structure, first)
            if start is None:
                continue
            ifd = block.get("IFD")
            default = structure.plane_count - start if ifd is None else 1
            count = _integer(block.get("PlaneCount", block.get("NumPlanes")), default)
            page = _integer(ifd, 0)
            if not 0 <= page <= _LARGEST or count < 0:
                raise SourceFileError(
                    f"image {identifier}: TiffData of page {page} and {count} planes; expected "
                    "numbers from 0; correct the OME-XML"
                )
            file, uuid = self._file(block)
            count = min(count, structure.plane_count - start)
            self._count(identifier, count)
            for offset in range(count):
                yield PlanePage(*structure.zct(start + offset), file, page + offset, uuid)

    def _count(self, identifier: str, planes: int) -> None:
        self._planes_left -= planes
        if self._planes_left < 0:
            raise SourceFileError(
                f"image {identifier}: the TiffData tell of more than {self._most_planes} planes "
                "in so short a text; correct the OME-XML"
            )

    def _file(self, block: Element) -> tuple[str | None, str]:
        """Give the file of a block and its identifier; None is the file of the OME-XML."""
        uuid = next((child for child in block if local_name(child) == "UUID"), None)
        if uuid is None:
            return None, ""
        identifier = (uuid.text or "").strip()
        name = uuid.get("FileName")
        if self.own_uuid and identifier == self.own_uuid:
            # Whatever it was called when it was written.
            self.own_names.update([name] if name else [])
            return None, identifier
        return name or "", identifier


def _is_channel(element: Element) -> bool:
    return local_name(element) in ("Channel", "LogicalChannel")


def _integer(text: str | None, default: int) -> int:
    try:
        return default if text is None else int(text)
    except ValueError:
        return default


def _structure(identifier: str, pixels: Element) -> SeriesStructure:
    sizes = [_integer(pixels.get(f"Size{axis}"), 0) for axis in "XYZCT"]
    if min(sizes) < 1 or max(sizes) > _LARGEST or math.prod(sizes[2:]) > _MOST_PLANES:
        raise SourceFileError(
            f"image {identifier}: sizes {'x'.join(map(str, sizes))} (XYZCT); expected from 1, and "
            f"at most {_MOST_PLANES} planes; correct the OME-XML"
        )
    order = pixels.get("DimensionOrder", "XYCZT")
    if order not in _ORDERS:
        raise SourceFileError(
            f"image {identifier}: dimension order {order!r}; expected XY and Z, C, T; "
            "correct the OME-XML"
        )
    dtype = pixels.get("Type", pixels.get("PixelType", ""))
    x, y, z, c, t = sizes
    return SeriesStructure(x, y, z, c, t, _DTYPES.get(dtype, dtype), order)


def _counts_from_one(blocks: list[Element], structure: SeriesStructure) -> tuple[int, int, int]:
    """Give the number of the first z, c and t: some programs count them from one."""
    found = []
    for key, size in (
        ("FirstZ", structure.size_z),
        ("FirstC", structure.size_c),
        ("FirstT", structure.size_t),
    ):
        numbers = {_integer(block.get(key), 0) for block in blocks}
        found.append(1 if numbers and min(numbers) == 1 and max(numbers) == size else 0)
    return found[0], found[1], found[2]


def _plane_index(structure: SeriesStructure, place: tuple[int, ...]) -> int | None:
    """Give the index of a plane in the order of its series; None if it lies outside."""
    sizes = {"Z": structure.size_z, "C": structure.size_c, "T": structure.size_t}
    at = dict(zip("ZCT", place, strict=True))
    index, step = 0, 1
    for axis in structure.dimension_order[2:]:
        if not 0 <= at[axis] < sizes[axis]:
            return None
        index += at[axis] * step
        step *= sizes[axis]
    return index
