"""Numbered files of many kinds are looked at several at a time, each as if it were alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from imextract.config import Settings
from imextract.readers.bioformats_process import shared_process
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest
from tests.support import noise, write_tiff

_PATTERN = r"^(?P<w>[A-H]\d\d)"

# What is read by a Java process of the test's own, as Python runs it at its start.
_FAULTS = """
import os, signal, time
import imextract.readers.java_data_set as opening

_open = opening.OpenDataSet.__init__

def open_(self, path, **given):
    if path.endswith("ends.tif"):
        os.kill(os.getpid(), signal.SIGKILL)
    while path.endswith("hangs.tif"):
        time.sleep(1)
    _open(self, path, **given)

opening.OpenDataSet.__init__ = open_
"""


@pytest.fixture
def many_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings under which three files are looked at at once; their processes are ended."""
    monkeypatch.setattr("imextract.registration.numbered_files.usable_cores", lambda: 3)
    monkeypatch.setattr("imextract.registration.numbered_files._WORTH_A_PROCESS", 1)
    settings = Settings(java_heap_mb=128, read_timeout_s=8)
    yield settings
    for number in range(3):
        shared_process(settings.registering(number)).close()


def write_plate(folder: Path) -> Path:
    """Write plain files, others, one that is empty, one that is damaged, and one of no format."""
    folder.mkdir(exist_ok=True)
    for column in range(1, 9):
        colours = {} if column % 3 == 0 else {"photometric": "rgb"}
        shape = (20, 30, 3) if colours else (20, 30)
        write_tiff(folder / f"A{column:02d}.tif", noise(*shape, seed=column), **colours)
    (folder / "A02.tif").write_bytes((folder / "A02.tif").read_bytes()[:-100])
    (folder / "A04.tif").write_bytes(b"")
    (folder / "A05.tif").write_bytes(b"no image at all")
    return folder


def build(folder: Path, settings: Settings) -> Manifest:
    return build_manifest(folder, ManifestOptions(pattern=_PATTERN), settings)


def told(manifest: Manifest) -> list[object]:
    return [
        [*manifest.rows()],
        manifest.data_sets,
        manifest.problems,
        [*manifest.sites.items()],
        [*manifest.channels],
    ]


def test_files_tell_the_same_whether_or_not_they_are_looked_at_at_once(
    tmp_path: Path, many_processes: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_plate(tmp_path)
    at_once = told(build(folder, many_processes))
    monkeypatch.setattr("imextract.registration.numbered_files.usable_cores", lambda: 1)
    alone = told(build(folder, many_processes))
    assert at_once == alone
    files = [problem.file for problem in build(folder, many_processes).problems if problem.file]
    assert [*dict.fromkeys(files)] == ["A02.tif", "A04.tif", "A05.tif"]


def test_a_file_that_hangs_and_one_that_ends_java_are_left_out_by_name(
    tmp_path: Path, many_processes: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / "sitecustomize.py").write_text(_FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(faults))
    folder = tmp_path / "plate"
    folder.mkdir()
    good = [f"A{column:02d}.tif" for column in (1, 2, 5, 6, 7)]
    bad = ["A03_hangs.tif", "A04_ends.tif"]
    for name in (*good, *bad):
        write_tiff(folder / name, noise(20, 30, 3), photometric="rgb")
    manifest = build(folder, many_processes)
    left_out = {problem.file: problem.text for problem in manifest.problems}
    assert [*left_out] == bad
    assert "no answer for 8 s" in left_out[bad[0]]
    assert "SIGKILL" in left_out[bad[1]]
    assert [one.entry.path for one in manifest.data_sets] == good


def test_one_process_is_left_when_all_files_were_looked_at(
    tmp_path: Path, many_processes: Settings
) -> None:
    build(write_plate(tmp_path), many_processes)
    ours = {shared_process(many_processes.registering(number)).pid for number in range(3)}
    java = {child.pid for child in psutil.Process(os.getpid()).children()}
    assert len(ours & java) == 1
