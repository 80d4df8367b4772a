"""One flipped bit anywhere in a stored file does not go unnoticed."""

import subprocess
import sys
from pathlib import Path

from imextract.compression import PRESETS

_BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "bit_rot.py"


def test_every_flip_is_noticed_and_no_region_is_wrong_in_silence() -> None:
    command = [sys.executable, str(_BENCHMARK), "--flips", str(20 * len(PRESETS)), "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [name.strip("`") for name, *_ in rows] == list(PRESETS)
    for _, flips, by_get, by_verify, *_, silent in rows:
        assert flips == by_get == by_verify == "20"
        assert silent == "0"
