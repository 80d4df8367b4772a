"""The command line as its users have it: output, one-line errors, exit codes."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

PATTERN = r"(?P<w>[A-Z]\d\d)_s(?P<s>\d)_(?P<c>\w+)_z(?P<z>\d)\.tif"


@dataclass
class CommandLine:
    """The command in an environment of its own."""

    folder: Path
    database_url: str | None = None
    storage_url: str | None = None

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "IMEXTRACT_DATABASE_URL": self.database_url or f"sqlite:///{self.folder / 'ledger.db'}",
            "IMEXTRACT_STORAGE_URL": self.storage_url or str(self.folder / "planes"),
        }
        return subprocess.run(
            [sys.executable, "-m", "imextract.cli.main", *map(str, arguments)],
            env=environment, capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip

    def json(self, *arguments: object) -> Any:
        done = self(*arguments)
        assert done.stderr == ""
        return json.loads(done.stdout)

    def refused(self, *arguments: object) -> str:
        """Give the one line of an error."""
        done = self(*arguments)
        assert done.returncode == 1, done
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("imextract: error: ")
        return line

    def misused(self, *arguments: object) -> str:
        """Give the one line about a value that makes no sense."""
        done = self(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), done
        (line,) = done.stderr.splitlines()
        return line


@pytest.fixture
def imextract(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    folder = tmp_path / "a plate"
    folder.mkdir()
    for index in range(8):
        name = f"B0{1 + index % 2}_s{index // 2 % 2}_DAPI_z{index // 4}.tif"
        noise = np.random.default_rng(index).integers(0, 99, (20, 30))
        tifffile.imwrite(folder / name, noise.astype("uint16"))
    return folder


def register(imextract: CommandLine, plate: Path, *more: str) -> subprocess.CompletedProcess[str]:
    given = ("--name", "first", "--pattern", PATTERN, "--check", "0")
    return imextract("register", plate, *given, *more)


def test_by_hand_what_the_flow_does(imextract: CommandLine, plate: Path) -> None:
    told = json.loads(register(imextract, plate, "--json").stdout)
    assert (told["experiment_id"], told["counts"]["planned"]) == (1, 8)
    assert imextract(1, "init", "-b", 1).stdout.startswith("4 jobs")
    job = 1
    while imextract(1, "info", "-p", "run", "-j", job).returncode == 0:
        done = imextract(1, "run", "-j", job)
        assert (done.returncode, done.stderr) == (0, "")
        job += 1
    assert job == 5
    assert "8 extracted, 0 failed" in imextract(1, "collect").stdout
    assert "2 planes extracted" in imextract(1, "log", "-j", 2).stdout
    assert "collect" in imextract(1, "log", "-p", "collect").stdout
    assert imextract(1, "verify").stdout == "8 planes read: 8 whole, 0 damaged\n"
    assert imextract(1, "init").stdout == "nothing is missing: no jobs\n"
    (listed,) = imextract.json("list", "--json")
    assert listed["states"]["extracted"] == 8
    assert imextract(1, "cleanup").stdout == "output deleted; 8 planes are planned\n"


def test_a_job_that_is_done_may_be_run_again(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate)
    imextract(1, "init", "-b", 2)
    imextract(1, "run", "-j", 1)
    done = imextract(1, "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "job 1: 0 planes extracted, 4 already there, 0 failed" in done.stdout
    assert "job 2: 4 planes extracted, 0 already there, 0 failed" in done.stdout
    assert imextract(1, "run", "-j", 1, "--assume-clean-state").returncode == 0


def test_what_the_microscope_tells_is_kept_and_shown(imextract: CommandLine) -> None:
    folder = imextract.folder / "operetta"
    imextract("simulate", folder, "--microscope", "operetta", "--wells", 1, "--sites", 1)
    imextract("register", folder, "--name", "told", "--check", 0)
    (kept,) = imextract.json(1, "metadata", "--json")
    assert (kept["objective"], kept["acquisition"]) == ("20x/0.4", "acquisition_0")
    shown = imextract(1, "metadata", "--file", "Index.idx.xml").stdout
    assert shown.strip() == Path(kept["file"]).read_text("utf-8-sig").strip()
    assert "nothing is kept of it" in imextract.refused(1, "metadata", "--file", "x.xml")
    columns = "channel,emission_nm,objective,exposure_ms,stage_x_um"
    header, first, *_ = imextract(1, "planes", "--columns", columns).stdout.splitlines()
    assert header.split() == columns.split(",")
    assert first.split()[-4:] == ["456.0", "20x/0.4", "20.0", "0.0"]
    assert imextract.json(1, "planes", "--format", "json")[0]["pixel_size_x_um"] is not None
    assert "'colour': expected some of id" in imextract.refused(1, "planes", "--columns", "colour")


def test_planes_tell_where_each_comes_from(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate)
    imextract(1, "init")
    imextract(1, "run")
    planes = json.loads(imextract(1, "planes", "--format", "json", "--well", "b2").stdout)
    assert len(planes) == 4
    for plane in planes:
        name = f"B02_s{plane['site']}_DAPI_z{plane['zplane']}.tif"
        assert plane["source_file"] == str(plate / name)
        assert (plane["series"], plane["plane"], plane["tpoint"]) == (0, 0, 0)
        assert (plane["well"], plane["channel"], plane["state"]) == ("B02", "DAPI", "extracted")
        assert (plane["height"], plane["width"], plane["dtype"]) == (20, 30, "uint16")
        assert len(plane["checksum"]) == 32
        assert (imextract.folder / "planes" / plane["location"]).is_file()
    rows = list(csv.DictReader(io.StringIO(imextract(1, "planes", "--format", "csv").stdout)))
    assert len(rows) == 8
    assert imextract(1, "planes", "--state", "failed", "--format", "json").stdout == "[]\n"


def test_a_projection_lists_all_its_sources(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate, "--projection", "max")
    planes = imextract.json(1, "planes", "--format", "json", "--well", "B01")
    assert len(planes) == 2
    assert planes[0]["source_file"] == [str(plate / f"B01_s0_DAPI_z{z}.tif") for z in range(2)]
    assert (planes[0]["series"], planes[0]["plane"]) == ([0, 0], [0, 0])


def test_a_dry_run_shows_all_and_touches_nothing(imextract: CommandLine, plate: Path) -> None:
    told = json.loads(register(imextract, plate, "--dry-run", "--json").stdout)
    assert (told["experiment_id"], told["counts"]["planned"]) == (None, 8)
    assert len(told["manifest"]) == 8
    shown = register(imextract, plate, "--dry-run").stdout
    assert "8 planes of 4 sites in 8 data sets, 0 of them absent; nothing was written" in shown
    assert not (imextract.folder / "ledger.db").exists()
    assert not (imextract.folder / "planes").exists()


def test_registering_again_adds_what_is_new(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate)
    tifffile.imwrite(plate / "B03_s0_DAPI_z0.tif", np.eye(9, dtype="uint16"))
    told = json.loads(register(imextract, plate, "--json").stdout)
    assert (told["experiment_id"], told["counts"]["planned"]) == (1, 9)


def test_a_failed_plane_is_named_and_tells_by_the_exit_code(
    imextract: CommandLine, plate: Path
) -> None:
    register(imextract, plate)
    os.truncate(plate / "B01_s0_DAPI_z0.tif", 50)
    imextract(1, "init")
    done = imextract(1, "run")
    assert done.returncode == 1
    assert "B01_s0_DAPI_z0.tif" in done.stderr
    assert "7 planes extracted, 0 already there, 1 failed" in done.stdout
    collected = imextract(1, "collect")
    assert collected.returncode == 1
    assert "B01_s0_DAPI_z0.tif" in collected.stderr


def test_delete_frees_originals_in_collect(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate)
    imextract(1, "init", "--delete")
    imextract(1, "run")
    assert "8 microscope files deleted" in imextract(1, "collect").stdout
    assert list(plate.iterdir()) == []
    assert "the only copy" in imextract.refused(1, "cleanup")
    assert imextract(1, "verify").returncode == 0


def test_bad_input_gets_one_line_with_the_remedy(imextract: CommandLine, plate: Path) -> None:
    register(imextract, plate)
    empty = imextract.folder / "empty"
    empty.mkdir()
    assert "imextract list" in imextract.refused(99, "init")
    assert "-j" not in imextract.refused(1, "run", "-j", 7)
    assert "no run job 7" in imextract.refused(1, "info", "-j", 7)
    assert "--batch-size" in imextract.misused(1, "init", "-b", 0)
    assert "--name" in imextract.misused("register", plate, "--name", "")
    assert "nowhere" in imextract.refused("register", plate / "nowhere", "--name", "x")
    assert str(empty) in imextract.refused("register", empty, "--name", "x")
    other = ("register", empty.parent / "a plate", "--name", "x", "--pattern")
    assert "no group" in imextract.refused(*other, r"(?P<well>.*)\.tif").replace("unknown", "no")
    assert "nomatch" in imextract.refused(*other, r"nomatch(?P<w>.*)")
    assert "taken by experiment 1" in imextract.refused(
        "register", other_folder(plate), "--name", "first", "--pattern", PATTERN
    )
    (listed,) = imextract.json("list", "--json")
    assert listed["experiment_id"] == 1


def other_folder(plate: Path) -> Path:
    other = plate.with_name("other")
    other.mkdir()
    tifffile.imwrite(other / "B01_s0_DAPI_z0.tif", np.eye(9, dtype="uint16"))
    return other


def test_an_unreachable_database_is_named(tmp_path: Path, plate: Path) -> None:
    imextract = CommandLine(tmp_path, database_url="postgresql://u:secret@127.0.0.1:1/x")
    line = imextract.refused("list")
    assert "IMEXTRACT_DATABASE_URL" in line
    assert "secret" not in line


def test_a_ledger_that_is_not_there_is_not_taken_for_an_empty_one(
    tmp_path: Path, plate: Path
) -> None:
    mistyped = CommandLine(tmp_path, database_url=f"sqlite:///{tmp_path / 'no' / 'ledger.db'}")
    assert "there is no such file" in mistyped.refused("list")
    assert not (tmp_path / "no").exists()
    assert register(mistyped, plate).returncode == 0
    assert mistyped("list").returncode == 0


def test_storage_that_is_not_there_is_not_taken_for_rot(tmp_path: Path, plate: Path) -> None:
    imextract = CommandLine(tmp_path)
    register(imextract, plate)
    imextract(1, "init")
    imextract(1, "run")
    elsewhere = CommandLine(tmp_path, storage_url=str(tmp_path / "unmounted"))
    assert "the storage is not there; mount it" in elsewhere.refused(1, "verify")


def test_unwritable_storage_is_named_and_leaves_no_jobs(tmp_path: Path, plate: Path) -> None:
    (tmp_path / "file").touch()
    imextract = CommandLine(tmp_path, storage_url=str(tmp_path / "file" / "planes"))
    register(imextract, plate)
    assert "storage cannot be written" in imextract.refused(1, "init")
    assert imextract.json(1, "info", "--json") == []


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), (1, "nonsense"), ("register",), (10**20, "init"), (0, "init")]
)
def test_wrong_usage_exits_with_2(imextract: CommandLine, arguments: tuple[object, ...]) -> None:
    done = imextract(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: imextract" in done.stderr


def test_verbose_twice_shows_the_traceback(imextract: CommandLine) -> None:
    done = imextract(99, "init", "-vv")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
