"""The ledger on PostgreSQL: the whole job, migrations raced, the server lost and back."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.database.batches import pending_work
from imextract.database.experiments import sum_stored
from imextract.database.models import ChannelImageFileRow, ExperimentRow
from imextract.database.planes import NOT_STORED
from imextract.database.session import Database
from imextract.errors import LedgerError
from imextract.experiments import list_experiments
from tests.experiments import make_experiment, settings_in


def test_an_experiment_is_extracted_collected_and_resumed(
    postgresql_url: str, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, postgresql_url)
    experiment = make_experiment(tmp_path, settings=settings)
    assert sorted(result.extracted for result in experiment.extract(batch_size=2)) == [4, 8]
    experiment.stored_files()[0].unlink()
    assert [result.extracted for result in experiment.extract()] == [1]
    extractor = experiment.extractor
    collect = extractor.create_collect_batch(ImextractBatchArguments(delete=True))
    result = extractor.collect_job_output(collect)
    assert (result.extracted, result.deleted_files, result.kept_files) == (12, 12, 0)
    planes = ChannelImageFile.find(experiment.experiment_id, settings, well="A02")
    assert len([plane.get() for plane in planes]) == 4
    (listed,) = list_experiments(settings)
    assert listed.states == {"planned": 0, "extracted": 12, "failed": 0, "absent": 0}


def test_planes_of_billions_of_pixels_are_added_up(postgresql_url: str, tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, settings=settings_in(tmp_path, postgresql_url))
    experiment.extract()
    all_bytes = 12 * 50_000 * 60_000 * 2
    with experiment.database.transaction() as session:
        session.execute(update(ChannelImageFileRow).values(height=50_000, width=60_000))
        assert sum_stored(session, experiment.experiment_id).bytes_in == all_bytes
        session.execute(update(ChannelImageFileRow).values(NOT_STORED))
        assert pending_work(session, experiment.experiment_id).pixel_bytes == all_bytes


def test_two_processes_may_create_the_schema_at_once(postgresql_url: str) -> None:
    code = (
        "import sys; from imextract.database.session import Database;"
        "Database(sys.argv[1]).prepare()"
    )
    racing = [subprocess.Popen([sys.executable, "-c", code, postgresql_url]) for _ in range(3)]
    assert [process.wait(60) for process in racing] == [0, 0, 0]
    with Database(postgresql_url).reading() as session:
        assert session.scalars(select(ExperimentRow)).all() == []


def test_a_lost_connection_is_a_hiccup_that_passes(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    database.prepare()
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other = Database(postgresql_url)

    def ask_and_be_cut() -> None:
        with database.reading() as session:
            session.execute(select(ExperimentRow))
            with other.transaction() as killer:
                killer.execute(cut)
            session.execute(select(ExperimentRow))

    with pytest.raises(LedgerError, match="terminat"):
        ask_and_be_cut()
    with database.reading() as session:
        assert session.scalars(select(ExperimentRow)).all() == []
