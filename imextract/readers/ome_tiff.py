"""A single OME-TIFF: its OME-XML tells which page each plane is."""

from collections.abc import Iterable, Sequence

from tifffile import PHOTOMETRIC, TiffPage

from imextract.planes import PixelArray, PlaneRef, SeriesStructure
from imextract.readers.native import NativeReader
from imextract.readers.ome_tiff_data import ImagePages, parse_pages
from imextract.readers.read_ahead import Part
from imextract.readers.tiff_pages import check_page, decode_page, dtype_name, open_pages, page_parts
from imextract.readers.tiff_structure import check_tiff_stream

__all__ = ["OmeTiffReader"]


class OmeTiffReader(NativeReader):
    """An OME-TIFF of which no plane lies in another file; its images are series.

    RGB pages, and planes that no page is told of, are left to Bio-Formats.
    """

    format_name = "OME-TIFF"

    def _open(self) -> Sequence[SeriesStructure]:
        check_tiff_stream(self._path, self._stream)
        self._stream.seek(0)
        pages = open_pages(self._path, self._stream)
        images = parse_pages(pages[0].description).images
        if not images:
            raise self._left_to_bioformats("no image in the OME-XML of its first page")
        self._planes = [self._pages_of(image, pages) for image in images]
        return [image.structure for image in images]

    def _pages_of(
        self, image: ImagePages, pages: list[TiffPage]
    ) -> dict[tuple[int, int, int], tuple[int, TiffPage]]:
        """Give the number and the page of each (zplane, channel, tpoint) of an image."""
        numbers = {(one.zplane, one.channel, one.tpoint): one.page for one in image.planes}
        is_here = all(one.file is None for one in image.planes)
        expected = image.structure.plane_count
        if not is_here or len(numbers) != expected or len(image.planes) != expected:
            raise self._left_to_bioformats(
                f"{len(numbers)} of the {expected} planes of image {image.id!r} are told to be "
                f"in this file, in {len(image.planes)} places"
            )
        if max(numbers.values()) >= len(pages):
            raise self._left_to_bioformats(
                f"image {image.id!r} is told to reach page {max(numbers.values())}, "
                f"but the file has {len(pages)}"
            )
        found = {place: (number, pages[number]) for place, number in numbers.items()}
        for number, page in found.values():
            self._check(image, number, page)
        return found

    def _check(self, image: ImagePages, number: int, page: TiffPage) -> None:
        check_page(self._path, number, page)
        shape, dtype = (page.imagelength, page.imagewidth), dtype_name(page)
        expected = image.structure
        is_told = (shape, dtype) == (expected.shape, expected.dtype) and page.samplesperpixel == 1
        if not is_told or page.photometric != PHOTOMETRIC.MINISBLACK:
            raise self._left_to_bioformats(
                f"page {number} holds {shape} pixels of {dtype} ({page.photometric!r}); "
                f"image {image.id!r} is told to be {expected.shape} {expected.dtype}"
            )

    def _decode(self, ref: PlaneRef) -> PixelArray:
        number, page = self._page(ref)
        plane: PixelArray = decode_page(self._path, number, page)[0]
        return plane

    def _parts(self, ref: PlaneRef) -> Iterable[Part]:
        return page_parts(self._page(ref)[1])

    def _page(self, ref: PlaneRef) -> tuple[int, TiffPage]:
        place = self._structure[ref.series].zct(ref.plane)
        return self._planes[ref.series][place]
