"""Whether bit rot is noticed: ``python benchmarks/bit_rot.py --flips 500``.

Planes are extracted with every preset; then one bit anywhere in one of their
files is flipped, the plane read, and the bit flipped back. Reading the whole
plane and `verify` must notice every flip; of regions is told how many flips
they notice, how many change no pixel, and how many go unnoticed though they do.
Ends with exit code 1 if a wrong pixel was given in silence.
"""

import argparse
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.compression import PRESETS, CompressionName
from imextract.config import Settings
from imextract.errors import DamagedPlaneError
from imextract.extractor import ImageExtractor
from imextract.planes import PixelArray
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.simulation import PlateLayout, simulate
from imextract.verify import verify_experiment
from imextract.workplace import Workplace

LAYOUT = PlateLayout(wells=1, sites=1, channels=2, zplanes=1, height=300, width=600)


def extract(folder: Path, preset: CompressionName) -> tuple[int, Settings]:
    """Simulate, register and extract a small plate."""
    settings = Settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}", storage_url=str(folder / "planes")
    )
    simulate(folder / "plate", "imagexpress", LAYOUT)
    request = RegistrationRequest(folder=folder / "plate", name=preset, check=0)
    experiment_id = register_folder(request, settings).experiment_id
    if experiment_id is None:
        raise RuntimeError(f"{folder}: not registered")
    extractor = ImageExtractor(experiment_id, settings)
    for batch in extractor.create_run_batches(ImextractBatchArguments(compression=preset)):
        extractor.run_job(batch)
    return experiment_id, settings


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def whole(image: ChannelImageFile, wanted: PixelArray) -> str:
    """Read a plane and tell how the damage to its file shows."""
    try:
        pixels = image.get()
    except DamagedPlaneError:
        return "noticed"
    return "harmless" if np.array_equal(pixels, wanted) else "wrong"


def regions(image: ChannelImageFile, wanted: PixelArray) -> str:
    """Read a plane in two halves and tell how the damage to its file shows."""
    middle = wanted.shape[1] // 2
    try:
        left, right = image.get(x=slice(0, middle)), image.get(x=slice(middle, None))
    except DamagedPlaneError:
        return "noticed"
    return "harmless" if np.array_equal(np.hstack([left, right]), wanted) else "wrong"


def measure(
    experiment_id: int, settings: Settings, flips: int, seed: int
) -> dict[str, Counter[str]]:
    """Count how flips show in whole planes, in regions and in `verify`."""
    images = list(ChannelImageFile.find(experiment_id, settings))
    wanted = [image.get() for image in images]
    place = Workplace.of(settings)
    found: dict[str, Counter[str]] = {"get": Counter(), "verify": Counter(), "region": Counter()}
    random = np.random.default_rng(seed)
    for _ in range(flips):
        index = int(random.integers(len(images)))
        image = images[index]
        path = place.store.path(str(image.record.location))
        bit = int(random.integers(path.stat().st_size * 8))
        flip(path, bit)
        found["get"][whole(image, wanted[index])] += 1
        found["region"][regions(image, wanted[index])] += 1
        verified = verify_experiment(place, experiment_id)
        bad = [one.plane.id for one in verified if one.error is not None]
        found["verify"]["noticed" if bad == [image.record.id] else "wrong"] += 1
        flip(path, bit)
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=500, help="bits flipped, over all presets")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong = 0
    each = -(-options.flips // len(PRESETS))
    print(
        "| preset | flips | noticed by get | by verify | by regions | no pixel of a region changed "
        "| wrong in silence |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    # Each finding would be logged as well.
    logging.disable()
    for preset in get_args(CompressionName):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(*extract(Path(folder), preset), each, options.seed)
        region = found["region"]
        silent = region["wrong"] + sum(each - found[by]["noticed"] for by in ("get", "verify"))
        print(
            f"| `{preset}` | {each} | {found['get']['noticed']} | {found['verify']['noticed']} "
            f"| {region['noticed']} | {region['harmless']} | {silent} |"
        )
        wrong += silent
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
