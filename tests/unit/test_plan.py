"""Init: batches of whole sites, only of what is missing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event

from imextract.batches import ImextractBatchArguments
from imextract.database.planes import NOT_STORED
from imextract.errors import StorageError, UnknownExperimentError
from imextract.extractor import ImageExtractor
from imextract.plan import split_evenly
from imextract.sizing import Work, job_count
from tests.experiments import SmallExperiment, make_experiment


@given(st.integers(0, 500), st.integers(1, 120), st.integers(1, 16))
def test_batches_partition_the_sites_evenly(count: int, batch_size: int, workers: int) -> None:
    sites = list(range(10, 10 + count))
    arguments = ImextractBatchArguments(batch_size=batch_size, workers=workers)
    jobs = job_count(Work(count, 4 * count, 4_000 * count), arguments)
    chunks = [list(chunk) for chunk in split_evenly(sites, jobs)]
    assert [site for chunk in chunks for site in chunk] == sites
    lengths = [len(chunk) for chunk in chunks]
    assert len(chunks) >= min(workers, count)
    if lengths:
        assert max(lengths) <= batch_size
        assert min(lengths) >= max(1, max(lengths) - 1)


@pytest.fixture
def experiment(tmp_path: Path) -> SmallExperiment:
    return make_experiment(tmp_path, sites=5)


def test_an_unknown_experiment_is_named(experiment: SmallExperiment) -> None:
    with pytest.raises(UnknownExperimentError, match="experiment 99 does not exist"):
        ImageExtractor(99, experiment.settings)


def test_all_planes_of_a_site_are_in_one_batch(experiment: SmallExperiment) -> None:
    arguments = ImextractBatchArguments(batch_size=2)
    batches = list(experiment.extractor.create_run_batches(arguments))
    assert [batch.job for batch in batches] == [1, 2, 3]
    results = [experiment.extractor.run_job(batch) for batch in batches]
    assert sorted(result.planned for result in results) == [4, 8, 8]


def test_a_second_init_asks_only_for_what_is_missing(experiment: SmallExperiment) -> None:
    experiment.extract()
    assert experiment.extract() == []
    for path in experiment.stored_files()[3:6]:
        path.unlink()
    assert sum(result.extracted for result in experiment.extract()) == 3
    assert experiment.extract() == []


def test_a_stored_file_cut_short_is_extracted_again(experiment: SmallExperiment) -> None:
    experiment.extract()
    path = experiment.stored_files()[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert [result.extracted for result in experiment.extract()] == [1]


def test_however_many_planes_are_lost_they_are_planned_again_a_few_at_a_time(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.extract()
    for path in experiment.stored_files():
        path.unlink()
    sent: list[int] = []

    def count(_: object, __: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.startswith("UPDATE channel_image_files SET state"):
            sent.append(len(parameters))

    monkeypatch.setattr("imextract.database.planes._CHUNK", 3)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        list(experiment.extractor.create_run_batches(ImextractBatchArguments()))
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    # Twenty planes, three ids at a time beside the values that all get.
    assert len(sent) == 7
    assert max(sent) == 3 + len(NOT_STORED)


def test_unfinished_batches_are_those_with_planned_planes(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    batches = list(extractor.create_run_batches(ImextractBatchArguments(batch_size=2)))
    extractor.run_job(batches[1])
    assert extractor.unfinished(batches) == [batches[0], batches[2]]


def test_storage_that_is_not_mounted_is_not_taken_for_lost(experiment: SmallExperiment) -> None:
    experiment.extract()
    place = Path(experiment.settings.storage_url)
    place.rename(place.with_name("unmounted"))
    place.mkdir()
    with pytest.raises(StorageError, match="the storage is not there; mount it"):
        experiment.extract()
    place.rmdir()
    place.with_name("unmounted").rename(place)
    assert experiment.extract() == []


def test_a_lost_plane_without_original_fails_until_it_is_brought_back(
    experiment: SmallExperiment,
) -> None:
    experiment.extract()
    extractor = experiment.extractor
    extractor.collect_job_output(
        extractor.create_collect_batch(ImextractBatchArguments(delete=True))
    )
    assert experiment.originals() == []
    stored = experiment.stored_files()[0]
    backup = stored.rename(stored.with_suffix(".backup"))
    (result,) = experiment.extract()
    assert (result.extracted, result.failed) == (0, 1)
    backup.rename(stored)
    (result,) = experiment.extract()
    assert (result.already_there, result.failed) == (1, 0)
    assert experiment.extract() == []


def test_a_batch_finds_its_planes_by_their_sites_not_among_all(
    experiment: SmallExperiment,
) -> None:
    plans: list[str] = []

    def explain(
        connection: Connection, _: object, statement: str, parameters: Any, *_rest: object
    ) -> None:
        if statement.startswith("UPDATE channel_image_files SET batch_id"):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[3] for row in cursor.fetchall())

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        list(experiment.extractor.create_run_batches(ImextractBatchArguments(batch_size=2)))
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert len(plans) == 3
    assert all("(site_id=?)" in plan for plan in plans), plans
