"""A whole conversion of a plate, by us or by a tool: what it takes, and whether it is right."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.measuring import CannotRunError, Measured, run_measured
from benchmarks.ours import Flows
from benchmarks.peer_tools import Peer
from benchmarks.stamped_planes import stamped
from imextract.channel_image_file import ChannelImageFile

__all__ = ["Conversion", "Plate", "convert_by_peer", "convert_by_us"]

_STAMPED_PLANES = Path(__file__).with_name("stamped_planes.py")
_IMAGES_COMPARED = 24
_LONGEST_S = 1800.0


class Plate(Protocol):
    """What is converted."""

    @property
    def folder(self) -> Path: ...
    @property
    def planes(self) -> int: ...
    @property
    def pixel_mb(self) -> float: ...
    @property
    def register_options(self) -> Sequence[str]: ...
    def has(self, stamp: Sequence[int], /) -> bool:
        """Whether a plane begins so."""
        ...

    def is_right(self, stamp: Sequence[int], checksum: str, /) -> bool:
        """Whether a plane that begins so has the pixels of the source, by their SHA-256."""
        ...


@dataclass(frozen=True, slots=True)
class Conversion:
    """What converting a plate took.

    Attributes
    ----------
    written_mb
        What is on the disk afterwards.
    compared, identical
        Planes of which the stored pixels were compared, and those that have the
        pixels of the source.
    """

    planes: int
    pixel_mb: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    written_mb: float
    compared: int
    identical: int

    @property
    def mb_s(self) -> float:
        """MB of pixels per second of the whole program."""
        return self.pixel_mb / self.wall_s


def convert_by_us(
    flows: Flows, plate: Plate, *, by_bioformats: bool = False, **parameters: object
) -> Conversion:
    """Register a plate by the command line and extract it by the flow; compare every plane.

    Parameters
    ----------
    parameters
        Those of the flow.
    """
    experiment_id, registering = flows.register_by_command(plate.folder, plate.register_options)
    if by_bioformats:
        flows.read_by_bioformats()
    run = flows.run(experiment_id, **parameters).whole
    written_mb = _size_mb(Path(flows.settings.storage_url))
    images = ChannelImageFile.find(experiment_id, flows.settings)
    with ThreadPoolExecutor() as pool:
        identical = list(pool.map(lambda image: _is_right(plate, image), images))
    flows.forget(experiment_id)
    return _conversion(plate, [registering, run], written_mb, len(identical), sum(identical))


def convert_by_peer(peer: Peer, programs: Path, plate: Plate, folder: Path) -> Conversion:
    """Let a tool convert a plate; compare some planes, and delete what it wrote.

    Raises
    ------
    CannotRunError
    """
    folder.mkdir(parents=True)
    try:
        command = [str(part) for part in peer.command(programs, plate.folder, folder)]
        environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
        run = run_measured(command, folder=folder, environment=environment, timeout_s=_LONGEST_S)
        written_mb = _size_mb(folder)
        if written_mb < 1:
            raise CannotRunError("it ends well, but has written nothing")
        found = [one for one in _stamped(programs, folder) if plate.has(one[0])]
        identical = sum(plate.is_right(*one) for one in found)
        return _conversion(plate, [run], written_mb, len(found), identical)
    finally:
        shutil.rmtree(folder)


def _conversion(
    plate: Plate, runs: Sequence[Measured], written_mb: float, compared: int, identical: int
) -> Conversion:
    return Conversion(
        plate.planes,
        plate.pixel_mb,
        sum(run.wall_s for run in runs),
        sum(run.cpu_s for run in runs),
        max(run.peak_mb for run in runs),
        written_mb,
        compared,
        identical,
    )


def _is_right(plate: Plate, image: ChannelImageFile) -> bool:
    (found,) = stamped(image.get())
    return plate.is_right(*found)


def _stamped(programs: Path, folder: Path) -> list[tuple[list[int], str]]:
    has_zarr = next(folder.rglob("*.zarr"), None) is not None
    python = str(programs / "python") if has_zarr else sys.executable
    command = [python, str(_STAMPED_PLANES), str(folder), str(_IMAGES_COMPARED)]
    run = run_measured(command, folder=folder)
    return [tuple(found) for found in json.loads(run.output.strip().splitlines()[-1])]


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
