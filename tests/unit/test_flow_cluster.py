"""From a run's parameters to a Dask cluster."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import pytest
from dask_jobqueue.slurm import SLURMJob
from prefect_dask.task_runners import DaskTaskRunner

from flows import cluster
from flows.cluster import WorkerSize, connect, runner_settings
from flows.fork_process import SET_BY_DASK
from imextract.errors import ConfigError

CHECKOUT = Path(__file__).parents[2]
SIZE = WorkerSize(workers=3, cores=2, memory_mb=4000, duration="01:30:00")


@pytest.fixture
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a site's settings, instead of ours."""
    monkeypatch.setattr(cluster, "SETTINGS_FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["local", "slurm", "tcp://127.0.0.1:8786"])
def test_the_settings_make_a_task_runner(name: str) -> None:
    DaskTaskRunner(**runner_settings(name, SIZE))


def test_local_workers_are_processes_of_one_thread_on_loopback() -> None:
    given = runner_settings("local", SIZE)["cluster_kwargs"]
    assert (given["n_workers"], given["threads_per_worker"], given["processes"]) == (3, 1, True)
    assert given["host"] == "127.0.0.1"
    assert given["dashboard_address"].startswith("127.0.0.1:")
    assert given["memory_limit"] == "4000MB"


def test_half_of_the_memory_is_the_heap_of_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IMEXTRACT_JAVA_HEAP_MB", raising=False)
    assert SIZE.environment["IMEXTRACT_JAVA_HEAP_MB"] == "2000"
    monkeypatch.setenv("IMEXTRACT_JAVA_HEAP_MB", "1234")
    assert SIZE.environment["IMEXTRACT_JAVA_HEAP_MB"] == "1234"


def test_by_default_the_workers_use_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CPU_COUNT", 8)
    assert WorkerSize.of(None, 1, 2147, "06:00:00").workers == 8
    assert WorkerSize.of(None, 3, 2147, "06:00:00").workers == 2
    assert WorkerSize.of(None, 16, 2147, "06:00:00").workers == 1
    assert WorkerSize.of(5, 16, 2147, "06:00:00").workers == 5


def test_no_worker_is_started_that_has_nothing_to_do() -> None:
    assert SIZE.at_most(2).workers == 2
    assert SIZE.at_most(40) == SIZE


def test_a_site_may_change_what_a_run_gives(settings_folder: Path) -> None:
    (settings_folder / "local.yaml").write_text("dashboard_address: 127.0.0.1:8787\n")
    given = runner_settings("local", SIZE)["cluster_kwargs"]
    assert given["dashboard_address"] == "127.0.0.1:8787"
    assert given["n_workers"] == 3


@pytest.mark.parametrize("text", [None, "- a\n- list\n", "a: [unclosed\n"])
def test_unusable_settings_are_named(settings_folder: Path, text: str | None) -> None:
    if text is not None:
        (settings_folder / "slurm.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"slurm\.yaml.*deployments/README\.md"):
        runner_settings("slurm", SIZE)


def test_a_slurm_job_is_as_large_as_asked_for(settings_folder: Path) -> None:
    (settings_folder / "slurm.yaml").write_text(
        "queue: long\naccount: lab\nlog_directory: null\njob_script_prologue: [module load java]\n"
    )
    script = job_script(runner_settings("slurm", SIZE))
    for line in (
        "#SBATCH -p long",
        "#SBATCH -A lab",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=4G",
        "#SBATCH -t 01:30:00",
        "module load java",
        "export IMEXTRACT_JAVA_HEAP_MB=2000",
    ):
        assert line in script.splitlines(), script
    assert "--nthreads 1 " in script


def test_the_settings_that_we_ship_make_a_slurm_job() -> None:
    assert "#SBATCH --no-requeue" in job_script(runner_settings("slurm", SIZE))


def test_only_our_own_workers_may_talk_to_the_scheduler_of_a_run_on_slurm() -> None:
    given = runner_settings("slurm", SIZE)["cluster_kwargs"]
    assert given["security"] is True
    assert given["scheduler_options"]["dashboard_address"].startswith("127.0.0.1:")


def test_a_worker_imports_nothing_that_takes_over_its_signals() -> None:
    # As a Dask scheduler or worker imports our modules: outside the main thread.
    code = (
        "import sys, threading;"
        "t = threading.Thread(target=__import__, args=['flows.extraction']);"
        "t.start(); t.join();"
        "sys.exit('flows.extraction' not in sys.modules or 'dask_jobqueue' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 0


def test_little_is_loaded_before_the_process_that_workers_are_forked_from_begins() -> None:
    code = "import sys, flows.extraction; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert not {"distributed", "numpy", "sqlalchemy"} & set(done.stdout.split())


def test_what_dask_sets_makes_no_other_environment() -> None:
    assert dask.config.get("distributed.nanny.pre-spawn-environ").keys() <= SET_BY_DASK


def test_an_address_without_scheduler_is_named() -> None:
    settings = runner_settings("tcp://127.0.0.1:9", SIZE)
    settings["client_kwargs"]["timeout"] = "100ms"
    with (
        DaskTaskRunner(**settings) as runner,
        pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:9.*no Dask scheduler answers there"),
    ):
        connect(runner, 1)


def job_script(settings: dict[str, Any]) -> str:
    """Give the script that SLURM would run, without a scheduler to join."""
    job: Any = SLURMJob
    of_the_cluster = {"security", "shared_temp_directory", "scheduler_options"}
    given = {k: v for k, v in settings["cluster_kwargs"].items() if k not in of_the_cluster}
    script: str = job("tcp://10.0.0.1:8786", name="w", **given).job_script()
    return script
