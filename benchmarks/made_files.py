"""Files made for fuzzing, in the codings and formats that microscopes seldom write.

TIFFs by tifffile; with Java, also what Bio-Formats itself can write.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tifffile

from imextract.planes import PixelArray

__all__ = ["CONVERTED", "MADE", "convert"]

_SHAPE = (96, 128)
_CODINGS = ("lzw", "zlib", "zstd", "packbits", "lzma", "png", "jpeg2000", "jpegxr", "jpegxl")
# Suffix, by the pixel type and the number of planes that the format can hold.
CONVERTED: Mapping[str, tuple[str, int]] = {
    "ics": ("uint16", 6),
    "ome.btf": ("uint16", 6),
    "ome.xml": ("uint16", 6),
    "ch5": ("uint16", 6),
    "dcm": ("uint16", 6),
    "avi": ("uint8", 6),
    "mov": ("uint8", 6),
    "jp2": ("uint8", 1),
    "png": ("uint8", 1),
    "eps": ("uint8", 1),
}


def scene(*leading: int, dtype: str = "uint16") -> PixelArray:
    """Give planes of a blurred spot and noise, none of them zero anywhere."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]]
    planes = []
    for index in range(int(np.prod(leading))):
        near = (y - chance.uniform(0, _SHAPE[0])) ** 2 + (x - chance.uniform(0, _SHAPE[1])) ** 2
        planes.append(60 + 130 * np.exp(-near / 512) + chance.normal(0, 3, _SHAPE) + index)
    found: PixelArray = np.reshape(planes, (*leading, *_SHAPE)).astype(dtype)
    return found


def _tiff(pixels: PixelArray, **options: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        given: dict[str, object] = {"photometric": "minisblack", "metadata": None} | options
        tifffile.imwrite(folder / "image.tif", pixels, **given)  # type: ignore[arg-type]

    return write


def _ome(axes: str, **options: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        sizes = {"T": 2, "Z": 3, "C": 2}
        pixels = scene(*(sizes[axis] for axis in axes))
        given: dict[str, object] = {"metadata": {"axes": f"{axes}YX"}, "ome": True} | options
        tifffile.imwrite(folder / "image.ome.tif", pixels, **given)  # type: ignore[arg-type]

    return write


def _imagej(folder: Path) -> None:
    pixels = scene(2, 3, 2)
    tifffile.imwrite(folder / "image.tif", pixels, imagej=True, metadata={"axes": "TZCYX"})


def _virtual_stack(folder: Path) -> None:
    """Write a stack with one directory for all planes, as ImageJ does beyond 4 GB."""
    pixels, path = scene(6).astype(">u2"), folder / "image.tif"
    told = "ImageJ=1.53t\nimages=6\nslices=6\nloop=false\n"
    first = pixels[0].astype("uint16")
    tifffile.imwrite(path, first, byteorder=">", description=told, metadata=None)
    with path.open("ab") as file:
        file.write(pixels[1:].tobytes())


def _pyramid(folder: Path) -> None:
    pixels = scene(2)
    options = {"tile": (32, 32), "compression": "lzw", "photometric": "minisblack"}
    with tifffile.TiffWriter(folder / "image.ome.tif", ome=True) as file:
        file.write(pixels, subifds=1, metadata={"axes": "CYX"}, **options)  # type: ignore[arg-type]
        file.write(pixels[:, ::2, ::2], subfiletype=1, **options)  # type: ignore[arg-type]


def _ome_set(folder: Path) -> None:
    """Write an OME-TIFF of which each channel lies in a file of its own."""
    pixels = scene(2, 3)
    blocks = "".join(
        f'<TiffData FirstC="{c}" FirstZ="{z}" IFD="{z}" PlaneCount="1">'
        f'<UUID FileName="c{c}.ome.tif">urn:uuid:00000000-0000-0000-0000-00000000000{c}</UUID>'
        "</TiffData>"
        for c in range(2)
        for z in range(3)
    )
    channels = "".join(f'<Channel ID="Channel:0:{c}" SamplesPerPixel="1"/>' for c in range(2))
    for c in range(2):
        told = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{c}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
            f'SizeX="{_SHAPE[1]}" SizeY="{_SHAPE[0]}" SizeZ="3" SizeC="2" SizeT="1">'
            f"{channels}{blocks}</Pixels></Image></OME>"
        )
        _tiff(pixels[c], description=told, compression="packbits")(folder)
        (folder / "image.tif").rename(folder / f"c{c}.ome.tif")


# Each writes its files into an empty folder.
MADE: Mapping[str, Callable[[Path], None]] = {
    "plain": _tiff(scene(3), rowsperstrip=8),
    **{name: _tiff(scene(3), compression=name, rowsperstrip=32) for name in _CODINGS},
    "jpeg": _tiff(scene(3, dtype="uint8"), compression="jpeg", tile=(32, 32)),
    "lzw-tiles": _tiff(scene(3), compression="lzw", predictor=True, tile=(32, 32)),
    "float": _tiff(scene(3, dtype="float32"), compression="zlib", predictor=3, tile=(32, 32)),
    "big": _tiff(scene(3), bigtiff=True, tile=(48, 64), byteorder=">"),
    "planar": _tiff(scene(2, 3), photometric="rgb", planarconfig="separate", rowsperstrip=20),
    "rgb-lzw": _tiff(np.moveaxis(scene(2, 3), 1, -1).copy(), photometric="rgb", compression="lzw"),
    "imagej": _imagej,
    "virtual-stack": _virtual_stack,
    "pyramid": _pyramid,
    "ome-set": _ome_set,
    **{f"ome-{axes}": _ome(axes) for axes in ("TZC", "ZTC", "CTZ")},
    "ome-lzw": _ome("TZC", compression="lzw", photometric="minisblack"),
}


def convert(suffix: str, folder: Path) -> None:
    """Let Bio-Formats write a format, into an empty folder.

    Raises
    ------
    RuntimeError
        If it does not.
    """
    dtype, count = CONVERTED[suffix]
    source = folder.with_name(f"{folder.name}-source.ome.tif")
    tifffile.imwrite(source, scene(count, dtype=dtype), ome=True, metadata={"axes": "ZYX"})
    jars = ":".join(_jars())
    words = ["-cp", jars, "loci.formats.tools.ImageConverter", "-no-upgrade", "-overwrite"]
    words += [str(source), str(folder / f"image.{suffix}")]
    done = subprocess.run(
        [shutil.which("java") or "java", *words], capture_output=True, text=True, check=False
    )
    source.unlink()
    if done.returncode or not any(folder.iterdir()):
        raise RuntimeError(f"{suffix}: not written: {done.stdout[-500:]}{done.stderr[-500:]}")


def _jars() -> Iterator[str]:
    spec = find_spec("bioformats")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield from map(str, sorted(Path(place).glob("jars/*.jar")))
