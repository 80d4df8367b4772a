"""One run of an experiment at a time, on SQLite and PostgreSQL, whoever dies meanwhile."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from imextract.batches import ImextractBatchArguments, RunBatch
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.database.models import LeaseRow
from imextract.database.session import Database
from imextract.errors import ExperimentBusyError
from imextract.extractor import ImageExtractor
from imextract.lease import hold_lease
from imextract.registration.register import RegistrationRequest, register_folder
from tests.deployed import PATTERN, Bench
from tests.experiments import CHANNELS, SmallExperiment, make_experiment, pixels_of, settings_in

ARGUMENTS = ImextractBatchArguments()

# Takes the lease of an experiment, says so, and keeps it.
HOLDER = """
import sys, time
from imextract.config import Settings
from imextract.extractor import ImageExtractor
settings = Settings(database_url=sys.argv[2], storage_url=sys.argv[3])
extractor = ImageExtractor(int(sys.argv[1]), settings)
with extractor.keep(extractor.take("the first run")):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def experiment(settings: Settings, tmp_path: Path) -> SmallExperiment:
    return make_experiment(tmp_path, settings=settings)


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs of life in quick succession: nobody waits a minute for a test."""
    monkeypatch.setattr("imextract.lease._BEAT_S", 0.05)


@contextmanager
def holding(experiment: SmallExperiment) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lease."""
    settings = experiment.settings
    given = [str(experiment.experiment_id), settings.database_url, settings.storage_url]
    command = [sys.executable, "-c", HOLDER, *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def move_owner_elsewhere(experiment: SmallExperiment) -> None:
    """Let the ledger believe that the owner runs on a machine that nobody here can look at."""
    with experiment.database.transaction() as session:
        session.execute(update(LeaseRow).values(machine="elsewhere"))


def test_who_comes_second_is_refused_whatever_he_wants(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    (batch,) = extractor.create_run_batches(ARGUMENTS)
    collect = extractor.create_collect_batch(ARGUMENTS)
    plane = next(ChannelImageFile.find(experiment.experiment_id, experiment.settings))
    attempts: list[Callable[[], object]] = [
        lambda: list(extractor.create_run_batches(ARGUMENTS)),
        lambda: extractor.run_job(batch),
        lambda: extractor.collect_job_output(collect),
        extractor.delete_previous_job_output,
        lambda: plane.put(pixels_of(9, 9, 9)),
        lambda: extractor.take("the second run"),
    ]
    with holding(experiment):
        for attempt in attempts:
            with pytest.raises(ExperimentBusyError, match="worked on by the first run"):
                attempt()
    assert experiment.stored_files() == []


def test_registering_again_waits_for_no_run(tmp_path: Path) -> None:
    bench = Bench(settings_in(tmp_path), tmp_path)
    experiment_id = bench.experiment("again")
    request = RegistrationRequest(folder=tmp_path / "again", name="again", pattern=PATTERN)
    with hold_lease(Database(bench.settings.database_url), experiment_id, "the first run"):
        with pytest.raises(ExperimentBusyError, match="the first run"):
            register_folder(request, bench.settings)
    assert register_folder(request, bench.settings).experiment_id == experiment_id


def test_a_killed_owner_locks_nobody_out(experiment: SmallExperiment) -> None:
    with holding(experiment) as process:
        process.kill()
        process.wait()
        started = time.monotonic()
        assert [result.extracted for result in experiment.extract()] == [12]
        assert time.monotonic() - started < 30


def test_an_owner_elsewhere_that_gives_no_sign_of_life_is_taken_over(
    experiment: SmallExperiment, quick_beats: None
) -> None:
    with holding(experiment) as process:
        process.kill()
        process.wait()
        move_owner_elsewhere(experiment)
        assert [result.extracted for result in experiment.extract()] == [12]


def test_an_owner_elsewhere_that_lives_is_not(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Quick, but not so quick that a busy machine makes a living one look dead.
    monkeypatch.setattr("imextract.lease._BEAT_S", 0.5)
    with hold_lease(experiment.database, experiment.experiment_id, "the first run"):
        move_owner_elsewhere(experiment)
        with pytest.raises(ExperimentBusyError, match="the first run"):
            experiment.extract()


def test_a_job_whose_run_was_taken_over_changes_nothing_more(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    first = ImageExtractor(
        experiment.experiment_id, experiment.settings, extractor.take("the first run")
    )
    (batch,) = first.create_run_batches(ARGUMENTS)
    collect = first.create_collect_batch(ImextractBatchArguments(delete=True))
    assert extractor.release() != []
    with pytest.raises(ExperimentBusyError, match="another run took over"):
        extractor.run_job(batch)
    assert [result.extracted for result in experiment.extract()] == [12]
    for late in (
        lambda: extractor.run_job(batch),
        lambda: first.collect_job_output(collect),
        first.delete_previous_job_output,
    ):
        with pytest.raises(ExperimentBusyError, match="another run took over"):
            late()
    assert len(experiment.originals()) == len(experiment.stored_files()) == 12


def test_jobs_of_one_init_run_beside_each_other_but_none_twice(
    experiment: SmallExperiment,
) -> None:
    extractor = experiment.extractor
    first, second, third = extractor.create_run_batches(ImextractBatchArguments(workers=3))
    busy = hold_lease(experiment.database, experiment.experiment_id, "job 1", first.batch_id)
    with busy:
        assert extractor.run_job(second).extracted == 4
        with pytest.raises(ExperimentBusyError, match="job 1"):
            extractor.run_job(first)
        with pytest.raises(ExperimentBusyError, match="job 1"):
            extractor.delete_previous_job_output()
    assert extractor.run_job(first).extracted + extractor.run_job(third).extracted == 8


def test_of_many_that_come_at_once_one_is_let_in(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    gate = threading.Barrier(6)
    answers: list[str] = []

    def come() -> None:
        gate.wait()
        try:
            extractor.take("run")
        except ExperimentBusyError:
            answers.append("refused")
        else:
            answers.append("in")

    crowd = [threading.Thread(target=come) for _ in range(6)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert sorted(answers) == ["in", *["refused"] * 5]


def test_a_late_job_of_an_older_init_changes_no_ledger(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    (old,) = extractor.create_run_batches(ARGUMENTS)
    assert [result.extracted for result in experiment.extract(compression="gzip")] == [12]
    late = extractor.run_job(RunBatch(old.experiment_id, old.batch_id, old.job))
    assert (late.planned, late.extracted) == (0, 0)
    for plane in ChannelImageFile.find(experiment.experiment_id, experiment.settings):
        record = plane.record
        channel = CHANNELS.index(record.channel)
        expected = pixels_of(int(record.well[1:]) - 1, channel, record.zplane)
        assert (plane.get() == expected).all()


def test_a_finished_run_leaves_no_lease(experiment: SmallExperiment) -> None:
    experiment.extract()
    with experiment.database.reading() as session:
        assert session.scalars(select(LeaseRow)).all() == []
