"""Damaged real files: ``python benchmarks/fuzz.py FOLDER --minutes 10``.

FOLDER holds microscope files and `planes.jsonl`, which tells of each the
SHA-256 of every plane. Copies of the files are cut short or have single bits
flipped, at random places, and are registered and extracted. A plane of a file
that was cut may fail, or be as it was: another one would be invented. A flipped
bit of pixels that no checksum of the format covers gives another plane, and one
of a header may give many: these are counted, as "other", and not judged. Ends
with exit code 1 if a plane was invented, or a file took longer than its limit.
"""

import argparse
import hashlib
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.extractor import ImageExtractor
from imextract.planes import PixelArray
from imextract.registration.register import RegistrationRequest, register_folder

# Sets of many files are copied as a whole, if they are no larger.
_MOST_BYTES = 4_000_000
_LIMIT_S = 60.0


@dataclass(frozen=True)
class Original:
    """A real file, and the digests of its planes."""

    path: Path
    format_name: str
    digests: frozenset[str]

    def copy_to(self, folder: Path) -> Path:
        """Copy the file and, if they are small, those beside it."""
        beside = [path for path in self.path.parent.iterdir() if path.is_file()]
        small = sum(path.stat().st_size for path in beside) <= _MOST_BYTES
        for path in beside if small else [self.path]:
            shutil.copyfile(path, folder / path.name)
        return folder / self.path.name


def originals(data: Path) -> Iterator[Original]:
    """Give the files that are there and hold planes that are not all alike."""
    for line in (data / "planes.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        path = data / told["entry"]
        if "error" in told or not path.is_file():
            continue
        planes = [plane for series in told["series"] for plane in series["planes"]]
        if not all(plane.get("constant") for plane in planes):
            digests = frozenset(plane["sha256"] for plane in planes)
            yield Original(path, told["format"], digests)


def cut(path: Path, random: np.random.Generator) -> None:
    """Cut a file short anywhere."""
    content = path.read_bytes()
    path.write_bytes(content[: int(random.integers(len(content)))])


def flip(path: Path, random: np.random.Generator) -> None:
    """Flip one bit, as often in the first kilobytes as elsewhere."""
    content = bytearray(path.read_bytes())
    end = len(content) if random.random() < 0.5 else min(len(content), 4096)
    content[int(random.integers(end))] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


DAMAGES = {"cut": cut, "flipped": flip}


def digest(pixels: PixelArray) -> str:
    """Give the SHA-256 of the pixels as little-endian bytes."""
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()


def outcomes(folder: Path, original: Original, settings: Settings) -> Counter[str]:
    """Register and extract a folder, and count how its planes came out."""
    try:
        request = RegistrationRequest(folder=folder, name=folder.name, check=0)
        experiment_id = register_folder(request, settings).experiment_id
    except ImextractError:
        return Counter({"refused": 1})
    if experiment_id is None:
        return Counter()
    extractor = ImageExtractor(experiment_id, settings)
    for batch in extractor.create_run_batches(ImextractBatchArguments()):
        extractor.run_job(batch)
    found: Counter[str] = Counter()
    for image in ChannelImageFile.find(experiment_id, settings):
        source = image.record.sources[0].source_file if image.record.sources else None
        if image.record.state != "extracted":
            found["failed"] += 1
        elif source is not None and Path(source).name == original.path.name:
            found["right" if digest(image.get()) in original.digests else "other"] += 1
    return found


def fuzz(
    files: list[Original], settings: Settings, seeds: Iterator[int], end: float
) -> Iterator[tuple[Original, str, int, Counter[str], float]]:
    """Damage every file in every way, with one seed after the other."""
    for seed in seeds:
        for original in files:
            for name, damage in DAMAGES.items():
                if time.monotonic() > end:
                    return
                with tempfile.TemporaryDirectory() as temporary:
                    path = original.copy_to(Path(temporary))
                    damage(path, np.random.default_rng([seed, len(name)]))
                    began = time.monotonic()
                    found = outcomes(Path(temporary), original, settings)
                yield original, name, seed, found, time.monotonic() - began


def main() -> int:
    """Print a table by format and damage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, help="damage each file so often, whatever it takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--only", nargs="*", default=[""], help="files whose path holds one of these"
    )
    options = parser.parse_args()
    logging.disable()
    found_files = originals(options.folder)
    files = [one for one in found_files if any(part in str(one.path) for part in options.only)]
    seeds: Iterator[int] = count(options.seed)
    end = time.monotonic() + 60 * options.minutes
    if options.rounds is not None:
        seeds, end = iter(range(options.seed, options.seed + options.rounds)), float("inf")
    table: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    bad = 0
    with tempfile.TemporaryDirectory() as work:
        settings = Settings(
            database_url=f"sqlite:///{work}/ledger.db",
            storage_url=f"{work}/planes",
            read_timeout_s=_LIMIT_S / 2,
        )
        for original, name, seed, found, seconds in fuzz(files, settings, seeds, end):
            table[original.format_name, name] += found + Counter({"files": 1})
            is_wrong = (name == "cut" and found["other"]) or seconds > _LIMIT_S
            if is_wrong:
                bad += 1
                print(f"{original.path}, {name}, seed {seed}: {dict(found)}, {seconds:.0f} s")
    columns = ("files", "refused", "failed", "right", "other")
    print(f"| format | damage | {' | '.join(columns)} |\n|---|---|{'---:|' * len(columns)}")
    for (format_name, name), found in sorted(table.items()):
        counts = " | ".join(str(found[column]) for column in columns)
        print(f"| {format_name} | {name} | {counts} |")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
