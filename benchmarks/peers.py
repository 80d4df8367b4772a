"""The whole job, by us and by what people use today, on the same plate in the same run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.bench import Bench
from benchmarks.conversions import Conversion, Plate, convert_by_peer, convert_by_us
from benchmarks.measuring import CannotRunError
from benchmarks.ours import Flows, serving_flows
from benchmarks.peer_tools import PEERS, Peer, installed, tissuemaps
from benchmarks.plates import multi_series_file, operetta_plate
from benchmarks.real_planes import has_real_planes, real_plate
from benchmarks.tables import Table

__all__ = ["Runs", "add_peer", "tables"]

_COLUMNS = (
    "tool", "ours : its MB/s", "steady", "ours : its MB/CPU-s, steady", "MB/s, whole job",
    "MB/s, steady", "MB/CPU-s, steady", "planes", "wall s", "CPU s", "peak MB", "MB out",
    "identical planes",
)  # fmt: skip
_NOTE = (
    "Planes of 2048 x 2048 pixels of 16 bits; MB are those of raw pixels, peak MB those of the "
    "largest process. The whole job: the program from start to end; ours is registering by the "
    "command line and running the flow, which flushes every plane to disk and checks it, beside a "
    "Prefect server that is up. Steady: what the planes more than the first 32 cost, which leaves "
    "starting out. Identical: of the planes looked at, those stored with the pixels of the source. "
    "faim-ipa reads ImageXpress folders alone, and is not among them."
)
Convert = Callable[[Plate], Conversion]


@dataclass(frozen=True, slots=True)
class Runs:
    """A tool on a large plate, and before on a small one if there is time for it."""

    small: Conversion | None
    large: Conversion

    @property
    def steady(self) -> tuple[float, ...]:
        """MB of pixels per second and per CPU second, of what the large plate has more."""
        if self.small is None:
            return ()
        megabytes = self.large.pixel_mb - self.small.pixel_mb
        wall_s, cpu_s = self.large.wall_s - self.small.wall_s, self.large.cpu_s - self.small.cpu_s
        if min(wall_s, cpu_s) <= 0:
            # So few more planes that chance had more to say.
            return ()
        return megabytes / wall_s, megabytes / cpu_s

    @property
    def identical(self) -> str:
        """How many planes have the pixels of the source, of how many."""
        runs = [run for run in (self.small, self.large) if run is not None]
        return f"{sum(run.identical for run in runs)} of {sum(run.compared for run in runs)}"


def tables(bench: Bench) -> Iterator[Table]:
    """Measure every tool on a small and on a large plate."""
    with serving_flows(bench) as flows:
        yield _of_single_tiffs(bench, flows)
        if bench.has_tools:
            yield _of_one_file(bench, flows)
            if has_real_planes(bench):
                yield _of_real_planes(bench, flows)


def _of_single_tiffs(bench: Bench, flows: Flows) -> Table:
    table = Table("How fast is the whole job, against what people use?", _COLUMNS, note=_NOTE)
    middle, large = (operetta_plate(bench, wells) for wells in bench.wells_of_jobs)
    small = operetta_plate(bench, 1) if bench.has_tools else None
    ours = _add_ours(bench, flows, table, "zstd", small, large)
    if bench.has_tools:
        _add_ours(bench, flows, table, "lz4", small, large, ours)
    others = (tissuemaps("opencv"), *PEERS) if bench.has_tools else ()
    for peer in (tissuemaps("bioformats"), *others):
        add_peer(bench, table, peer, ours, small, middle if peer.is_slow else large)
    return table


def _of_one_file(bench: Bench, flows: Flows) -> Table:
    table = Table("And from one OME-TIFF of many series?", _COLUMNS, note=_NOTE)
    small, large = (multi_series_file(bench, wells) for wells in (1, bench.wells))
    own = _runs(partial(convert_by_us, flows, workers=bench.workers), small, large)
    by_java = partial(convert_by_us, flows, workers=bench.workers, by_bioformats=True)
    ours = _runs(by_java, small, large)
    _add(table, "imextract, by Bio-Formats", ours, ours)
    _add(table, "imextract, by its own reader", own, ours)
    add_peer(bench, table, tissuemaps("bioformats", folder=""), ours, small, large)
    return table


def _of_real_planes(bench: Bench, flows: Flows) -> Table:
    table = Table("And for planes of real microscopes?", _COLUMNS)
    table.note = (
        "Single-plane TIFFs of several microscopes, as they are compressed, each copied until "
        "its pixels are as many; otherwise as above."
    )
    small, large = (real_plate(bench, megabytes) for megabytes in bench.real_mb)
    ours = _add_ours(bench, flows, table, "zstd", small, large)
    for reader in ("bioformats", "opencv"):
        add_peer(bench, table, tissuemaps(reader, folder=""), ours, small, large)
    return table


def _add_ours(
    bench: Bench,
    flows: Flows,
    table: Table,
    preset: str,
    small: Plate | None,
    large: Plate,
    ours: Runs | None = None,
) -> Runs:
    convert = partial(convert_by_us, flows, workers=bench.workers, compression=preset)
    runs = _runs(convert, small, large)
    _add(table, f"imextract, {preset}", runs, ours or runs)
    return runs


def add_peer(
    bench: Bench, table: Table, peer: Peer, ours: Runs, small: Plate | None, large: Plate
) -> None:
    """Measure a tool; one that fails gives a row that says why."""
    folder = bench.folder / "peer"
    try:
        with installed(peer, folder / "environment") as programs:
            target = folder / "target"
            runs = _runs(lambda plate: convert_by_peer(peer, programs, plate, target), small, large)
        _add(table, peer.name, runs, ours)
    except Exception as error:  # noqa: BLE001  a fence: a tool fails in ways of its own
        kind = "" if isinstance(error, CannotRunError) else f"{type(error).__name__}: "
        reason = f"does not run here: {kind}{error}"
        table.add(peer.name, reason, *[""] * (len(_COLUMNS) - 2))


def _runs(convert: Convert, small: Plate | None, large: Plate) -> Runs:
    return Runs(None if small is None else convert(small), convert(large))


def _add(table: Table, name: str, runs: Runs, ours: Runs) -> None:
    steady = runs.steady or ("", "")
    ratios = [our / its for our, its in zip(ours.steady, runs.steady, strict=False)] or ("", "")
    large = runs.large
    table.add(
        name, ours.large.mb_s / large.mb_s, *ratios, large.mb_s, *steady, large.planes,
        large.wall_s, large.cpu_s, large.peak_mb, large.written_mb, runs.identical,
    )  # fmt: skip
