"""The ledger after a folder is registered again, or another one is added."""

import shutil
from pathlib import Path

import pytest

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.database.planes import PlaneRecord, find_planes
from imextract.database.session import Database
from imextract.errors import ImextractError, RegistrationError
from imextract.extractor import ImageExtractor
from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)
from imextract.simulation.faults import Faults
from imextract.simulation.layout import PlateLayout
from imextract.simulation.operetta import write_operetta_plate
from tests.support import noise, write_tiff

PATTERN = r"(?P<w>[A-P]\d\d)_s(?P<s>\d+)_(?P<c>\w+)_z(?P<z>\d+)_t(?P<t>\d+)\.tif"


def write(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        write_tiff(folder / f"{name}.tif", noise(6, 8, seed=sum(name.encode())))


def register(folder: Path, settings: Settings, **more: object) -> RegistrationResult:
    given: dict[str, object] = {"name": "first", "pattern": PATTERN, "check": 0, "plate": "P"}
    return register_folder(RegistrationRequest(folder=folder, **(given | more)), settings)  # type: ignore[arg-type]  # names are its fields


def planes(settings: Settings) -> dict[str, PlaneRecord]:
    """Give all planes that have a source, by the name of its file."""
    found = find_planes(Database(settings.database_url), 1)
    return {plane.sources[0].source_file.stem: plane for plane in found if plane.sources}


def place(plane: PlaneRecord) -> tuple[object, ...]:
    return plane.id, plane.well, plane.site, plane.channel, plane.tpoint, plane.zplane


def texts(result: RegistrationResult) -> str:
    return "\n".join(f"{problem.file}: {problem.text}" for problem in result.problems)


def extract(settings: Settings) -> None:
    extractor = ImageExtractor(1, settings)
    for batch in list(extractor.create_run_batches(ImextractBatchArguments())):
        extractor.run_job(batch)


OLD = ("A01_s1_C_z1_t1", "A01_s3_C_z1_t1", "A01_s1_C_z5_t1", "A01_s3_C_z5_t1")


def test_names_that_no_database_takes_stay_apart(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "folder"
    for plate, well in (("\udce4", "A01"), ("\udcf6", "A02")):
        (folder / plate).mkdir(parents=True)
        write_tiff(tmp_path / "image.tif", noise(6, 8))
        (tmp_path / "image.tif").rename(folder / plate / f"{well}_s1_C_z1_t1.tif")
    for _ in range(2):
        register(folder, settings, pattern=f"^(?P<p>[^/]+)/{PATTERN}", plate=None)
        found = find_planes(Database(settings.database_url), 1)
        assert [plane.plate for plane in found] == ["\\udce4", "\\udcf6"]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        # (site, tpoint, zplane) of the new one: between old ones, after them, before them.
        ("A01_s2_C_z1_t1", (2, 0, 0)),
        ("A01_s4_C_z1_t1", (2, 0, 0)),
        ("A01_s0_C_z1_t1", (2, 0, 0)),
        ("A01_s1_C_z3_t1", (0, 0, 2)),
        ("A01_s1_C_z9_t1", (0, 0, 2)),
        ("A01_s1_C_z1_t0", (0, 1, 0)),
        ("A01_s1_C_z1_t2", (0, 1, 0)),
        ("A01_s1_D_z1_t1", (0, 0, 0)),
        ("B01_s1_C_z1_t1", (0, 0, 0)),
    ],
)
def test_what_is_new_follows_and_nothing_moves(
    tmp_path: Path, settings: Settings, new: str, expected: tuple[int, int, int]
) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    before = {name: place(plane) for name, plane in planes(settings).items()}
    write(folder, new)
    result = register(folder, settings)
    after = planes(settings)
    assert {name: place(after[name]) for name in OLD} == before
    assert (after[new].site, after[new].tpoint, after[new].zplane) == expected
    assert result.counts["planned"] == 5
    cells = {(plane.well, plane.site): (plane.site_y, plane.site_x) for plane in after.values()}
    assert len({(well, cell) for (well, _), cell in cells.items()}) == len(cells)


def test_the_same_folder_changes_nothing_however_often(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD, "A01_s2_C_z3_t1")
    register(folder, settings)
    before = planes(settings)
    for _ in range(2):
        result = register(folder, settings)
        assert planes(settings) == before
        assert "vanished" not in texts(result)


def test_what_was_put_after_stays_there_the_third_time(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    write(folder, "A01_s2_C_z3_t1")
    assert "registered planes keep their indices" in texts(register(folder, settings))
    before = planes(settings)
    write(folder, "A01_s2_C_z1_t1")
    register(folder, settings)
    after = planes(settings)
    assert before.items() <= after.items()
    assert (after["A01_s2_C_z1_t1"].site, after["A01_s2_C_z1_t1"].zplane) == (2, 0)


@pytest.mark.parametrize("new", ["A01_s1_C_z9_t1", "B01_s1_C_z1_t1"])
def test_nothing_is_placed_where_no_registered_file_is_left(
    tmp_path: Path, settings: Settings, new: str
) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    extract(settings)
    before = planes(settings)
    extractor = ImageExtractor(1, settings)
    collect = extractor.create_collect_batch(ImextractBatchArguments(delete=True))
    assert extractor.collect_job_output(collect).deleted_files == 4
    write(folder, new)
    with pytest.raises(RegistrationError, match="cannot be placed among its planes"):
        register(folder, settings)
    assert planes(settings) == before


def test_files_that_vanished_are_told_and_others_are_added(
    tmp_path: Path, settings: Settings
) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    before = planes(settings)
    (folder / f"{OLD[0]}.tif").unlink()
    write(folder, "A01_s9_C_z1_t1")
    result = register(folder, settings)
    assert f"{OLD[0]}.tif: vanished" in texts(result)
    after = planes(settings)
    assert before.items() <= after.items()
    assert after["A01_s9_C_z1_t1"].site == 2


def test_a_file_that_changed_is_planned_anew_unless_it_was_extracted(
    tmp_path: Path, settings: Settings
) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    write_tiff(folder / f"{OLD[0]}.tif", noise(10, 12))
    assert "planned anew" in texts(register(folder, settings))
    assert (planes(settings)[OLD[0]].height, len(planes(settings))) == (10, 4)
    extract(settings)
    before = planes(settings)
    assert {plane.state for plane in before.values()} == {"extracted"}
    write_tiff(folder / f"{OLD[0]}.tif", noise(14, 12))
    write(folder, "A01_s9_C_z1_t1")
    assert "what was extracted is kept" in texts(register(folder, settings))
    after = planes(settings)
    assert before.items() <= after.items()
    assert after["A01_s9_C_z1_t1"].state == "planned"


def test_metadata_that_changed_are_kept_anew(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "plate"
    folder.mkdir()
    index = write_operetta_plate(folder, PlateLayout(wells=1, sites=1), Faults())
    of_type = {"pattern": None, "plate": None}
    register(folder, settings, **of_type)
    index.write_text(index.read_text("utf-8") + "\n", "utf-8")
    again = register(folder, settings, **of_type)
    assert f"{index.name}: has changed since it was registered: its text is kept" in texts(again)
    assert "planned anew" not in texts(again)
    assert texts(register(folder, settings, **of_type)) == ""


def test_another_reading_of_the_same_files_is_refused(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "plate"
    write(folder, *OLD)
    register(folder, settings)
    other = r"(?P<w>[A-P]\d\d)_s(?P<z>\d+)_(?P<c>\w+)_z(?P<s>\d+)_t(?P<t>\d+)\.tif"
    with pytest.raises(RegistrationError, match="registered as something else"):
        register(folder, settings, pattern=other)


def test_another_folder_is_later_time_points(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "day1", "A01_s1_C_z1_t1", "A01_s1_C_z1_t2")
    write(tmp_path / "day2", "A01_s1_C_z1_t1", "A01_s1_C_z1_t2")
    register(tmp_path / "day1", settings, acquisition="A1")
    add = {"experiment": 1, "acquisition": "A2"}
    register(tmp_path / "day2", settings, **add)
    found = list(find_planes(Database(settings.database_url), 1))
    expected = [("A1", 0), ("A1", 1), ("A2", 2), ("A2", 3)]
    assert [(plane.acquisition, plane.tpoint) for plane in found] == expected
    assert len({(plane.well, plane.site) for plane in found}) == 1
    # And once more: what follows is counted on from there.
    write(tmp_path / "day2", "A01_s1_C_z1_t3")
    register(tmp_path / "day2", settings, **add)
    found = list(find_planes(Database(settings.database_url), 1))
    assert [(plane.acquisition, plane.tpoint) for plane in found] == [*expected, ("A2", 4)]


def test_another_folder_is_a_cycle_if_that_is_said(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "one", "A01_s1_C_z1_t1")
    write(tmp_path / "two", "A01_s1_C_z1_t1")
    register(tmp_path / "one", settings, acquisition="A1")
    register(tmp_path / "two", settings, experiment=1, acquisition="A2", cycle=1)
    found = list(find_planes(Database(settings.database_url), 1))
    assert [(plane.cycle, plane.tpoint) for plane in found] == [(0, 0), (1, 0)]
    with pytest.raises(RegistrationError, match="already, of the folder"):
        register(tmp_path / "two", settings, experiment=1, acquisition="A1")


def test_files_that_are_registered_already_are_told(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "one", *OLD)
    assert "already" not in texts(register(tmp_path / "one", settings))
    again = register(tmp_path / "one", settings, acquisition="A2")
    assert "4 files are registered already, as acquisition acquisition_0 of plate P" in texts(again)
    for acquisition in (None, "A2"):
        again = register(tmp_path / "one", settings, acquisition=acquisition)
        assert "already" not in texts(again)


def moved(folder: Path, settings: Settings, stage_x_um: float) -> Path:
    """Give a manifest of a folder whose sites have a size, and stood elsewhere."""
    manifest = folder.with_suffix(".csv")
    register(folder, settings, dry_run=True, manifest=manifest)
    lines = manifest.read_text().splitlines()
    # Pixel sizes, stage x and y: 8 pixels of 10 µm are 80 µm.
    told = f",10,10,,{stage_x_um},0,,,,,"
    manifest.write_text("\n".join([lines[0], *(f"{line[:-10]}{told}" for line in lines[1:])]))
    return manifest


@pytest.mark.parametrize(("stage_x_um", "is_told"), [(30.0, False), (50.0, True)])
def test_sites_of_one_number_that_stood_elsewhere_are_told(
    tmp_path: Path, settings: Settings, stage_x_um: float, is_told: bool
) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, "A01_s1_C_z1_t1", "A01_s1_C_z2_t1")
    register(tmp_path / "one", settings, manifest=moved(tmp_path / "one", settings, 0.0))
    manifest = moved(tmp_path / "two", settings, stage_x_um)
    manifest.write_text(manifest.read_text().replace("acquisition_0", "A2"))
    result = register(tmp_path / "two", settings, experiment=1, manifest=manifest)
    expected = "acquisition A2: 1 sites lie elsewhere than those of the same number"
    assert (expected in texts(result)) is is_told


def test_sites_that_are_laid_out_otherwise_in_a_cycle_are_told(
    tmp_path: Path, settings: Settings
) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, *(f"A01_s{site}_C_z1_t1" for site in range(4)))
    square = {"layout": "horizontal", "columns": 2}
    register(tmp_path / "one", settings, **square)
    add = {"experiment": 1, "acquisition": "A2", "cycle": 1}
    turned = register(tmp_path / "two", settings, dry_run=True, **add, layout="vertical", rows=2)
    assert "2 sites lie elsewhere" in texts(turned)
    assert "site 1, at row 0, column 1 before, row 1, column 0 now" in texts(turned)
    assert "elsewhere" not in texts(register(tmp_path / "two", settings, **add, **square))


@pytest.fixture
def with_absent(tmp_path: Path, settings: Settings) -> tuple[Path, Path]:
    """A registered plate that lacks a declared plane, and the file that it lacks."""
    folder, manifest = tmp_path / "plate", tmp_path / "manifest.csv"
    write(folder, *OLD)
    register(folder, settings, dry_run=True, manifest=manifest)
    lines = manifest.read_text().splitlines()
    lost = next(line for line in lines if OLD[1] in line)
    manifest.write_text(
        manifest.read_text().replace(lost, lost.replace(f"planned,{OLD[1]}.tif,0,0", "absent,,,"))
    )
    shutil.move(folder / f"{OLD[1]}.tif", tmp_path)
    register(folder, settings, manifest=manifest)
    return folder, tmp_path / f"{OLD[1]}.tif"


def test_an_absent_plane_is_listed_and_never_written(
    settings: Settings, with_absent: tuple[Path, Path]
) -> None:
    found = list(find_planes(Database(settings.database_url), 1))
    (absent,) = [plane for plane in found if plane.state == "absent"]
    assert absent.sources == ()
    extract(settings)
    states = [plane.state for plane in find_planes(Database(settings.database_url), 1)]
    assert sorted(states) == ["absent", "extracted", "extracted", "extracted"]
    with pytest.raises(ImextractError, match="absent"):
        next(ChannelImageFile.find(1, settings, state="absent")).get()


def test_an_absent_plane_is_planned_once_its_file_is_there(
    settings: Settings, with_absent: tuple[Path, Path]
) -> None:
    folder, lost = with_absent
    extract(settings)
    before = list(find_planes(Database(settings.database_url), 1))
    shutil.move(lost, folder)
    result = register(folder, settings)
    assert (result.counts["absent"], result.counts["planned"]) == (0, 1)
    after = list(find_planes(Database(settings.database_url), 1))
    (was,) = [plane for plane in before if plane.state == "absent"]
    now = next(plane for plane in after if plane.id == was.id)
    assert place(now) == place(was)
    assert [one.source_file.name for one in now.sources] == [f"{OLD[1]}.tif"]
    extract(settings)
    assert {plane.state for plane in find_planes(Database(settings.database_url), 1)} == {
        "extracted"
    }


def test_nothing_is_written_on_an_error(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path / "plate", *OLD)
    register(tmp_path / "plate", settings)
    before = planes(settings)
    with pytest.raises(RegistrationError):
        register(tmp_path / "plate", settings, pattern=r"(?P<w>[A-P]\d\d)_")
    assert planes(settings) == before


def test_options_that_a_manifest_contradicts_are_refused(
    tmp_path: Path, settings: Settings
) -> None:
    folder, file = tmp_path / "plate", tmp_path / "manifest.csv"
    write(folder, *OLD)
    register(folder, settings, manifest=file, dry_run=True)
    layout = {"layout": "vertical", "rows": 2}
    for option in ({"plate": "Q"}, {"acquisition": "A2"}, {"cycle": 1}, layout):
        with pytest.raises(RegistrationError, match=f"tell otherwise than --{next(iter(option))}"):
            register(folder, settings, manifest=file, **option)


@pytest.mark.parametrize("change", ["bom", "semicolons"])
def test_a_manifest_saved_by_a_spreadsheet_is_taken(
    tmp_path: Path, settings: Settings, change: str
) -> None:
    folder, file = tmp_path / "plate", tmp_path / "manifest.csv"
    write(folder, *OLD)
    register(folder, settings, manifest=file, dry_run=True)
    text = file.read_text()
    file.write_text("\ufeff" + text if change == "bom" else text.replace(",", ";"))
    assert register(folder, settings, manifest=file).counts["planned"] == 4


def test_a_manifest_without_a_plane_is_refused(tmp_path: Path, settings: Settings) -> None:
    folder, file = tmp_path / "plate", tmp_path / "manifest.csv"
    write(folder, *OLD)
    register(folder, settings, manifest=file, dry_run=True)
    file.write_text(file.read_text().splitlines()[0] + "\n")
    with pytest.raises(RegistrationError, match="tells of no plane that is there"):
        register(folder, settings, manifest=file)
