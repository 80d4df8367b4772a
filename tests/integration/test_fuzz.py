"""Real files that were cut short or lost a bit never give a wrong plane in silence."""

import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


def test_no_plane_of_a_damaged_file_is_wrong(shared_data: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz", "--data", str(shared_data), "--rounds", "1"]
    command += ["--damages", "cut", "flipped"]
    command += ["--only", ".nd2", ".czi", ".lif", ".dv", ".spe", "BMCV"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=500, cwd=_CHECKOUT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("| cut |") == 6
