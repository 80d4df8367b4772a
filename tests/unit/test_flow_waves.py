"""Batches handed to a Dask cluster, and what goes along with each."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from distributed import LocalCluster
from prefect.context import SettingsContext, get_settings_context
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from flows import waves
from flows.api import _WrittenOnce
from flows.waves import Harvest, extract_wave
from imextract.batches import BatchResult, RunBatch


def test_no_more_batches_are_with_the_cluster_than_keep_its_workers_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, harvest, outstanding = threading.Lock(), Harvest(jobs=40), []

    def extract(batch: RunBatch) -> BatchResult:
        if batch.job == 13:
            raise OSError("a disk is gone")
        return BatchResult(batch.job, 1, 1, 0, 0, 10, 5, 0.0)

    def submit(runner: DaskTaskRunner, batch: RunBatch, jobs: int) -> PrefectDaskFuture[Any]:
        with started:
            outstanding.append(batch.job - 1 - len(harvest.results) - len(harvest.losses))
        future = runner.client.submit(extract, batch, pure=False)  # type: ignore[no-untyped-call]
        return PrefectDaskFuture(wrapped_future=future, task_run_id=uuid4())

    monkeypatch.setattr(waves, "_submit", submit)
    monkeypatch.setattr(waves, "_FEWEST_WORKERS", 1)
    # Results are told of, not looked for.
    monkeypatch.setattr(waves, "_LOOK_EVERY_S", 60.0)
    batches = [RunBatch(1, job, job) for job in range(1, 41)]
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        DaskTaskRunner(cluster=cluster) as runner,
    ):
        shares = list(extract_wave(runner, batches, harvest, workers=3))

    assert sorted(result.job for result in harvest.results) == [*range(1, 13), *range(14, 41)]
    assert harvest.losses == {13: "extract 13/40: OSError: a disk is gone"}
    assert max(outstanding) == 2 * 3 - 1
    assert shares == [done / 40 for done in range(1, 41)]


def test_settings_are_written_out_once_for_all_tasks_as_prefect_writes_them() -> None:
    now = get_settings_context()
    once = _WrittenOnce(profile=now.profile, settings=now.settings)
    with once:
        assert SettingsContext.get() is once
    assert (
        once.serialize() == SettingsContext(profile=now.profile, settings=now.settings).serialize()
    )
    assert once.serialize() is once.serialize()
    assert once.serialize(include_secrets=False) is not once.serialize()
