"""Jobs by the work that they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imextract.batches import ImextractBatchArguments
from imextract.compression import PRESETS, CompressionName
from imextract.sizing import Work, job_count

PLANE = 2 * 2048 * 2048


def work(sites: int, planes_per_site: int, plane_bytes: int = PLANE) -> Work:
    planes = sites * planes_per_site
    return Work(sites, planes, planes * plane_bytes)


def seconds_a_job(work: Work, workers: int) -> float:
    arguments = ImextractBatchArguments(workers=workers)
    return work.seconds(arguments.compression) / job_count(work, arguments)


@pytest.mark.parametrize("workers", [1, 2, 32, 256])
@pytest.mark.parametrize("sites", [3_456, 50_000])
def test_a_job_of_a_large_experiment_is_tens_of_seconds_of_work(sites: int, workers: int) -> None:
    assert 9 <= seconds_a_job(work(sites, 20), workers) <= 60


def test_tiny_sites_are_gathered_in_a_job_by_the_thousand() -> None:
    assert job_count(work(100_000, 1, 1_000), ImextractBatchArguments()) < 30


def test_prefect_is_never_given_more_than_a_thousand_tasks() -> None:
    assert job_count(work(1_000_000, 10), ImextractBatchArguments(workers=4)) == 1000


def test_every_worker_has_several_jobs_so_that_all_end_together() -> None:
    assert job_count(work(3_456, 20), ImextractBatchArguments(workers=32)) == 4 * 32


def test_no_worker_waits_for_a_last_few_jobs() -> None:
    # Work for 266 jobs of the shortest kind, which would take all workers two turns.
    assert job_count(work(3_456, 20), ImextractBatchArguments(workers=256)) == 256


def test_work_too_small_to_share_out_further_makes_a_job_per_worker() -> None:
    assert job_count(work(8, 4), ImextractBatchArguments(workers=2)) == 2


def test_a_slow_preset_makes_more_jobs() -> None:
    fast, slow = (
        job_count(work(3_456, 20), ImextractBatchArguments(compression=name))
        for name in ("lz4", "gzip")
    )
    assert slow > 3 * fast


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_its_rate(preset: CompressionName) -> None:
    assert work(1, 1).seconds(preset) > 0


@given(st.integers(0, 10**6), st.integers(1, 500), st.integers(1, 4096))
def test_no_job_is_empty_and_no_worker_idle(sites: int, planes: int, workers: int) -> None:
    jobs = job_count(work(sites, planes), ImextractBatchArguments(workers=workers))
    assert min(sites, workers) <= jobs <= sites
