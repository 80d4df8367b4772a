"""A process beside this one: how it ends."""

from pathlib import Path

import pytest

from imextract.batches import ImextractBatchArguments
from imextract.database.planes import find_planes
from imextract.extractor import ImageExtractor
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.side_process import SideProcess
from imextract.workplace import Workplace
from tests.experiments import settings_in
from tests.support import fake_file


def test_one_that_read_through_java_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_in(tmp_path)
    fake_file(tmp_path / "originals", series=2)
    folder = RegistrationRequest(
        folder=tmp_path / "originals", name="fake", microscope="bioformats"
    )
    number = register_folder(folder, settings).experiment_id
    assert number is not None
    list(ImageExtractor(number, settings).create_run_batches(ImextractBatchArguments()))
    planes = [plane.id for plane in find_planes(Workplace.of(settings).database, number)]
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with SideProcess(settings) as process:
        process.ask({"do": "open", "plane_ids": planes}, 60)
        request = {"do": "extract", "compression": "zstd", "assume_clean_state": False}
        reply = process.ask(request | {"plane_id": planes[0]}, 60)
        assert reply["stored"]
        assert list((tmp_path / "temporary").iterdir())
    assert list((tmp_path / "temporary").iterdir()) == []
