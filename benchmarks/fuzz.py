"""Damaged files, judged: ``python -m benchmarks.fuzz --data FOLDER --minutes 4``.

FOLDER holds microscope files and `planes.jsonl`, which tells of each the
SHA-256 of every plane. To these come files of other codings and formats that
are made for it (`--made`; `--converted` by Bio-Formats, too). Copies are cut
short, lose a bit, are filled with zeros in part, lose a file, and so on; they
are registered and extracted, and each plane stored is judged:

right       as it was
witnessed   other pixels, which an independent reader finds in the damaged file, too
as stored   nobody else reads the format; one pixel is other, or some are zero, as in the file
unjudged    other pixels, and nobody else reads the format
silent      other pixels, although an independent reader refuses or gives others; or any
            other pixels, of a file whose content is gone: a plane that was invented

Ends with exit code 1 if one was silent, or a file took longer than its limit.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks.damages import DAMAGES, LOSES
from benchmarks.made_files import CONVERTED, MADE, convert
from benchmarks.witnesses import Witnesses, digest, planes_of
from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.database.files import data_sets_of_entries
from imextract.database.session import Database
from imextract.errors import ImextractError
from imextract.extractor import ImageExtractor
from imextract.planes import PixelArray
from imextract.registration.register import RegistrationRequest, register_folder

# Sets of many files are copied as a whole, if they are no larger.
_MOST_BYTES = 4_000_000
_LIMIT_S = 60.0
_COLUMNS = (
    "files", "refused", "failed", "absent", "right", "witnessed", "as stored", "unjudged", "silent",
)  # fmt: skip


@dataclass(frozen=True)
class Original:
    """A file, maybe one of a set, and the digests of the planes that it is the entry to.

    Attributes
    ----------
    is_set
        Whether planes of files beside it are judged, and damaged, as well.
    """

    path: Path
    format_name: str
    digests: frozenset[str]
    settings: Settings
    is_set: bool = False

    def copy_to(self, folder: Path) -> list[Path]:
        """Copy the file and, if they are small, those beside it; give what may be damaged."""
        beside = [path for path in self.path.parent.iterdir() if path.is_file()]
        small = sum(path.stat().st_size for path in beside) <= _MOST_BYTES
        for path in beside if small else [self.path]:
            shutil.copyfile(path, folder / path.name)
        return sorted(folder.iterdir()) if self.is_set else [folder / self.path.name]

    @cached_property
    def witnesses(self) -> Witnesses:
        """The other readers of the file."""
        return Witnesses(self.path, self.digests, self.settings)

    @cached_property
    def planes(self) -> list[PixelArray]:
        """The planes of the whole file."""
        return planes_of(self.path, self.settings)


def originals(data: Path, settings: Settings) -> Iterator[Original]:
    """Give the files that are there and hold planes that are not all alike."""
    for line in (data / "planes.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        path = data / told["entry"]
        if "error" in told or not path.is_file():
            continue
        planes = [plane for series in told["series"] for plane in series["planes"]]
        if not all(plane.get("constant") for plane in planes):
            digests = frozenset(plane["sha256"] for plane in planes)
            yield Original(path, told["format"], digests, settings)


def made(
    folder: Path, settings: Settings, only: Sequence[str], converts: bool
) -> Iterator[Original]:
    """Make files, and take for their planes what is extracted of them undamaged."""
    kinds = {**MADE, **(dict.fromkeys(CONVERTED) if converts else {})}
    for name, write in kinds.items():
        if not any(part in name for part in only):
            continue
        place = folder / name.replace(".", "-")
        place.mkdir(parents=True)
        if write is None:
            convert(name, place)
        else:
            write(place)
        digests = frozenset(digest(pixels) for _, _, pixels in extracted(place, settings))
        if not digests:
            raise RuntimeError(f"{place}: no plane of it is extracted")
        paths = sorted(place.iterdir())
        yield Original(paths[0], f"made {name}", digests, settings, is_set=len(paths) > 1)


def extracted(
    folder: Path, settings: Settings, found: Counter[str] | None = None
) -> Iterator[tuple[Path, str, PixelArray]]:
    """Register and extract a folder; give each plane with its entry file and its reader."""
    found = Counter() if found is None else found
    try:
        request = RegistrationRequest(folder=folder, name=f"{folder}", check=0)
        experiment_id = register_folder(request, settings).experiment_id or 0
    except ImextractError:
        found["refused"] += 1
        return
    extractor = ImageExtractor(experiment_id, settings)
    for batch in extractor.create_run_batches(ImextractBatchArguments()):
        extractor.run_job(batch)
    database = Database(settings.database_url)
    for image in ChannelImageFile.find(experiment_id, settings):
        if image.record.state != "extracted":
            found[image.record.state] += 1
            continue
        source = image.record.sources[0]
        with database.reading() as session:
            reader = data_sets_of_entries(session, [source.entry_id])[source.entry_id].reader
        yield source.source_file, reader, image.get()


def judge(original: Original, name: str, path: Path, reader: str, pixels: PixelArray) -> str:
    """Say what is to be thought of a plane of a damaged file."""
    found = digest(pixels)
    if found in original.digests:
        return "right"
    if name in LOSES:
        return "silent"
    if original.witnesses.are_there(reader):
        return "witnessed" if found in original.witnesses.give(path, reader) else "silent"
    alike = (one for one in original.planes if one.shape == pixels.shape)
    changed = [pixels[one != pixels] for one in alike]
    return "as stored" if any(c.size == 1 or not c.any() for c in changed) else "unjudged"


def outcomes(
    folder: Path, original: Original, name: str, random: np.random.Generator
) -> Counter[str]:
    """Damage a copy, register and extract it, and count how its planes came out."""
    files = original.copy_to(folder)
    DAMAGES[name](files[int(random.integers(len(files)))], random)
    found: Counter[str] = Counter(files=1)
    for path, reader, pixels in extracted(folder, original.settings, found):
        if original.is_set or path.name == original.path.name:
            found[judge(original, name, path, reader, pixels)] += 1
    return found


def fuzz(
    files: Sequence[Original], damages: Sequence[str], seeds: Iterator[int], end: float
) -> Iterator[tuple[Original, str, int, Counter[str], float]]:
    """Damage every file in these ways, with one seed after the other."""
    for seed in seeds:
        for original in files:
            for number, name in enumerate(damages):
                if time.monotonic() > end:
                    return
                began = time.monotonic()
                with tempfile.TemporaryDirectory() as temporary:
                    random = np.random.default_rng([seed, number])
                    found = outcomes(Path(temporary), original, name, random)
                yield original, name, seed, found, time.monotonic() - began


def main() -> int:
    """Print a table by format and damage."""
    options = _options()
    logging.disable()
    seeds: Iterator[int] = count(options.seed)
    end = time.monotonic() + 60 * options.minutes
    if options.rounds is not None:
        seeds, end = iter(range(options.seed, options.seed + options.rounds)), float("inf")
    table: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    is_bad = False
    with tempfile.TemporaryDirectory() as work:
        for original, name, seed, found, seconds in fuzz(
            _files(options, Path(work)), options.damages, seeds, end
        ):
            table[original.format_name, name] += found
            if found["silent"] or seconds > _LIMIT_S:
                is_bad = True
                print(f"{original.path}, {name}, seed {seed}: {dict(found)}, {seconds:.0f} s")
    print(f"| format | damage | {' | '.join(_COLUMNS)} |\n|---|---|{'---:|' * len(_COLUMNS)}")
    rows = [*sorted(table.items()), (("all", "all"), sum(table.values(), Counter()))]
    for (format_name, name), found in rows:
        counts = " | ".join(str(found[column]) for column in _COLUMNS)
        print(f"| {format_name} | {name} | {counts} |")
    return 1 if is_bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of real files")
    parser.add_argument("--made", action="store_true", help="damage files made for it")
    parser.add_argument("--converted", action="store_true", help="and those that Bio-Formats made")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--rounds", type=int, help="damage each file so often, whatever it takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--damages", nargs="*", default=list(DAMAGES), choices=list(DAMAGES))
    parser.add_argument("--only", nargs="*", default=[""], help="files that hold one of these")
    return parser.parse_args()


def _files(options: argparse.Namespace, work: Path) -> list[Original]:
    settings = Settings(
        database_url=f"sqlite:///{work}/ledger.db",
        storage_url=f"{work}/planes",
        read_timeout_s=_LIMIT_S / 2,
    )
    files = list(originals(options.data, settings)) if options.data else []
    files = [one for one in files if any(part in str(one.path) for part in options.only)]
    if options.made:
        files += made(work / "made", settings, options.only, options.converted)
    return files


if __name__ == "__main__":
    sys.exit(main())
