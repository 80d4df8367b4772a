"""From a run's parameters to the Dask cluster that it runs on."""

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from dask.system import CPU_COUNT
from prefect_dask.task_runners import DaskTaskRunner

import imextract
from flows.warm_up import WarmUp
from imextract.errors import ConfigError

__all__ = [
    "WorkerSize",
    "connect",
    "let_workers_go",
    "require_workers",
    "runner_settings",
]

SETTINGS_FOLDER = Path(__file__).parents[1] / "deployments"


@dataclass(frozen=True, slots=True)
class WorkerSize:
    """How many Dask workers, and what each may use."""

    workers: int
    cores: int
    memory_mb: int
    duration: str

    @classmethod
    def of(cls, workers: int | None, cores: int, memory: int, duration: str) -> "WorkerSize":
        """Take the parameters of a run; no number of workers means all of this machine's cores."""
        return cls(workers or max(1, CPU_COUNT // cores), cores, memory, duration)

    def at_most(self, jobs: int) -> "WorkerSize":
        """Give as many workers, but none that would have nothing to do."""
        return replace(self, workers=min(self.workers, jobs))

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a worker process."""
        java_heap_mb = str(max(256, self.memory_mb // 2))
        return {
            "IMEXTRACT_JAVA_HEAP_MB": os.environ.get("IMEXTRACT_JAVA_HEAP_MB", java_heap_mb),
            # A worker finds the packages also where they are a checkout, not installed.
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(_packages_folder()), os.environ.get("PYTHONPATH")])
            ),
        }


def runner_settings(cluster: str, size: WorkerSize) -> dict[str, Any]:
    """Give the arguments of `DaskTaskRunner` for a cluster.

    Parameters
    ----------
    cluster
        "local", "slurm", or the address of a running Dask scheduler.
    size
        Sizes the workers of a cluster that is started; a running one has its own.

    Raises
    ------
    ConfigError
        If the site's settings of the cluster are missing or not a YAML mapping.
    """
    if cluster == "local":
        return _local(size) | {"client_kwargs": {"name": "imextract"}}
    if cluster == "slurm":
        return _slurm(size) | {"client_kwargs": {"name": "imextract"}}
    return {"address": cluster, "client_kwargs": {"name": "imextract", "timeout": "30s"}}


def connect(runner: DaskTaskRunner, experiment_id: int) -> None:
    """Start the runner's cluster, its workers warmed up, or find the running one.

    Raises
    ------
    ConfigError
        If no scheduler answers at the address given.
    """
    try:
        # The client is made when it is asked for.
        runner.client.scheduler_info()
    except OSError as error:
        if not runner.address:
            raise
        raise ConfigError(
            f"cluster={runner.address!r}: no Dask scheduler answers there ({error}); start one "
            "with `dask scheduler`, correct the address, or leave cluster at 'local'"
        ) from error
    if not runner.address:
        runner.client.register_plugin(WarmUp(experiment_id))


def let_workers_go(runner: DaskTaskRunner) -> None:
    """Have the workers of a cluster that was started here end, while the flow goes on."""
    cluster = runner.client.cluster
    if cluster is None:
        # A running one, which is not ours.
        return
    if runner.adapt_kwargs:
        # Who keeps their number would start them again.
        cluster.adapt(minimum=0, maximum=0)
    else:
        cluster.scale(0)


def require_workers(cluster: object) -> None:
    """Make sure that there is something to wait for.

    Raises
    ------
    ConfigError
        If a cluster of SLURM jobs has found that none can be had.
    """
    # Of `flows.jobs.SlurmJobs`, which is not to be imported here.
    verdict = getattr(cluster, "verdict", None)
    if verdict:
        raise ConfigError(
            f"cluster='slurm': no worker can be had; {verdict}; correct "
            "deployments/slurm.yaml or the run's parameters and run again"
        )


def _local(size: WorkerSize) -> dict[str, Any]:
    # Loopback only: who reaches a Dask scheduler may run any code.
    return {
        "cluster_class": "distributed.LocalCluster",
        "cluster_kwargs": {
            "n_workers": size.workers,
            "threads_per_worker": 1,
            "processes": True,
            "memory_limit": f"{size.memory_mb}MB",
            "host": "127.0.0.1",
            "dashboard_address": "127.0.0.1:0",
            "silence_logs": "WARNING",
            # The process that they are forked from keeps the environment of its start.
            "env": os.environ | size.environment,
            **_site_settings("local"),
        },
    }


def _slurm(size: WorkerSize) -> dict[str, Any]:
    settings = _site_settings("slurm")
    prologue = [f"export {name}={shlex.quote(value)}" for name, value in size.environment.items()]
    return {
        "cluster_class": "flows.jobs.SlurmJobs",
        "cluster_kwargs": {
            **settings,
            "processes": 1,
            "cores": 1,  # threads of the worker
            "job_cpu": size.cores,
            "memory": f"{size.memory_mb}MB",
            "walltime": size.duration,
            "job_script_prologue": [*prologue, *settings.get("job_script_prologue", [])],
        },
        "adapt_kwargs": {"minimum": size.workers, "maximum": size.workers},
    }


def _site_settings(cluster: str) -> dict[str, Any]:
    path = SETTINGS_FOLDER / f"{cluster}.yaml"
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{path}: settings of cluster={cluster!r} cannot be read ({reason}); "
            "restore the file, see deployments/README.md"
        ) from error
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path}: expected 'name: value' lines, got {type(settings).__name__}; "
            "see deployments/README.md"
        )
    return settings


def _packages_folder() -> Path:
    return Path(imextract.__path__[0]).parent
