"""The flow `imextract` where there is no Prefect server: it starts one for its lifetime."""

import os
import subprocess
import sys
from pathlib import Path

from imextract.config import Settings
from tests.deployed import Bench

CHECKOUT = Path(__file__).parents[2]
CALL = "from flows.extraction import imextract; imextract({}, workers=2, memory=700, batch_size=1)"


def test_one_server_serves_the_flow_and_all_its_workers(tmp_path: Path) -> None:
    # Started by -c on purpose: Dask's processes then import our modules in
    # another order than the flow's process does.
    settings = {
        "IMEXTRACT_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
        "IMEXTRACT_STORAGE_URL": str(tmp_path / "planes"),
    }
    bench = Bench(Settings.from_environment(settings), tmp_path)
    experiment = bench.experiment("alone")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment = {
        **others,
        **settings,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "DO_NOT_TRACK": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", CALL.format(experiment)],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert output.count("Starting temporary server") == 1, output
    assert len(bench.planes(experiment, "extracted")) == 8
