"""The benchmark of other tools: one that fails is a row, and ends nothing."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.conversions import Conversion
from benchmarks.peer_tools import Peer
from benchmarks.peers import Runs, add_peer
from benchmarks.plates import Plate
from benchmarks.tables import Table
from imextract.simulation import PlateLayout

_WRITE = """
import pathlib, sys
pathlib.Path(sys.argv[1], "image.tif").write_bytes(bytes(2_000_000))
"""


def _writes_what_cannot_be_read(_: Path, plate: Path, target: Path) -> Sequence[str | Path]:
    return [sys.executable, "-c", _WRITE, target]


def _knows_no_such_plate(_: Path, plate: Path, target: Path) -> Sequence[str | Path]:
    raise ValueError(f"{plate.name} is not for me")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (lambda *_: ["false"], "exit code 1"),
        (lambda *_: ["no-such-tool"], "No such file or directory: 'no-such-tool'"),
        (lambda *_: ["true"], "has written nothing"),
        (_writes_what_cannot_be_read, "TiffFileError"),
        (_knows_no_such_plate, "ValueError: plate is not for me"),
    ],
)
def test_a_tool_that_fails_is_a_row_that_says_why(
    command: object, reason: str, tmp_path: Path
) -> None:
    plate = Plate(tmp_path / "plate", PlateLayout())
    ours = Runs(None, Conversion(1, 1, 1, 1, 1, 1, 1, 1))
    table = Table("?", ("tool", "why"))
    peer = Peer("theirs", (), command)  # type: ignore[arg-type]  # one that fails
    add_peer(Bench(tmp_path, is_quick=True), table, peer, ours, None, plate)
    ((name, why, *rest),) = table.rows
    assert name == "theirs"
    assert reason in str(why)
    assert not any(rest)


def test_no_steady_rate_is_told_where_more_planes_took_less_time() -> None:
    def took(megabytes: float, seconds: float) -> Conversion:
        return Conversion(1, megabytes, seconds, seconds, 1, 1, 1, 1)

    assert Runs(took(100, 5), took(300, 6)).steady == (200, 200)
    assert Runs(took(100, 5), took(300, 5)).steady == ()
    assert Runs(None, took(300, 5)).steady == ()
