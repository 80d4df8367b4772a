"""Originals go only when all that depends on them is proven."""

import os
import shutil
import socket
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from sqlalchemy import delete, select, update

from imextract.batches import CollectResult, ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.database.models import MicroscopeImageFileRow as File
from imextract.database.models import SourcePlaneRow
from imextract.database.planes import PlaneRecord, plan_again
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.durable import read_from_disk
from imextract.errors import ConfigError
from imextract.planes import PixelArray, PlaneRef
from imextract.registration.manifest import (
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    SiteInfo,
    SiteKey,
)
from imextract.registration.register import RegistrationRequest, register_folder
from imextract.store import FolderStore
from imextract.stored import load_plane
from tests.experiments import (
    SHAPE,
    Rows,
    SmallExperiment,
    make_experiment,
    name_of,
    pixels_of,
    seen,
    settings_in,
)
from tests.integration.test_extraction import register_as_is


@pytest.fixture
def experiment(tmp_path: Path) -> SmallExperiment:
    return make_experiment(tmp_path)


def collect(experiment: SmallExperiment, delete: bool = True) -> CollectResult:
    extractor = experiment.extractor
    batch = extractor.create_collect_batch(ImextractBatchArguments(delete=delete))
    return extractor.collect_job_output(batch)


def test_nothing_is_deleted_unasked(experiment: SmallExperiment) -> None:
    experiment.extract()
    result = collect(experiment, delete=False)
    assert (result.extracted, result.deleted_files, result.kept_files) == (12, 0, 12)
    assert len(experiment.originals()) == 12


def test_proven_originals_are_deleted_and_their_planes_stay(experiment: SmallExperiment) -> None:
    experiment.extract()
    result = collect(experiment)
    assert (result.deleted_files, result.kept_files, result.notes) == (12, 0, ())
    assert experiment.originals() == []
    planes = ChannelImageFile.find(experiment.experiment_id, experiment.settings)
    assert sum(plane.get().size > 0 for plane in planes) == 12
    assert collect(experiment).deleted_files == 0
    assert experiment.extract() == []
    with pytest.raises(ConfigError, match="the only copy"):
        experiment.extractor.delete_previous_job_output(force=True)


def test_collect_before_run_deletes_nothing(experiment: SmallExperiment) -> None:
    result = collect(experiment)
    assert (result.unfinished, result.deleted_files) == (12, 0)
    assert len(experiment.originals()) == 12


def test_what_is_proven_is_on_the_disk(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched: only a disk that lost what memory still holds would show the difference.
    experiment.extract()
    read = []

    def record(path: Path) -> memoryview:
        read.append(path)
        return read_from_disk(path)

    monkeypatch.setattr("imextract.store.read_from_disk", record)
    assert collect(experiment).deleted_files == 12
    assert sorted(read) == experiment.stored_files()


def test_one_failed_plane_keeps_the_whole_acquisition(experiment: SmallExperiment) -> None:
    os.truncate(experiment.folder / name_of(0, 0, 0), 100)
    experiment.extract()
    result = collect(experiment)
    assert (result.failed, result.deleted_files) == (1, 0)
    assert len(experiment.originals()) == 12
    assert "1 planes are not extracted" in result.notes[0]
    assert str(result.notes[1]).startswith(f"kept: {experiment.folder / name_of(0, 0, 0)}: ")
    assert str(result.notes[1]).count(name_of(0, 0, 0)) == 1


def test_an_original_whose_output_rotted_is_kept(experiment: SmallExperiment) -> None:
    experiment.extract()
    rotten = experiment.stored_files()[0]
    content = bytearray(rotten.read_bytes())
    content[len(content) // 2] ^= 4
    rotten.write_bytes(content)
    result = collect(experiment)
    assert result.deleted_files == 11
    assert len(experiment.originals()) == 1
    assert any(str(rotten) in note for note in result.notes)


def test_a_missing_output_keeps_everything(experiment: SmallExperiment) -> None:
    experiment.extract()
    experiment.stored_files()[0].unlink()
    result = collect(experiment)
    assert (result.unfinished, result.deleted_files) == (1, 0)
    assert len(experiment.originals()) == 12


def test_a_changed_original_is_kept(experiment: SmallExperiment) -> None:
    experiment.extract()
    changed = experiment.folder / name_of(0, 0, 0)
    tifffile.imwrite(changed, np.zeros(SHAPE, "uint16"))
    assert collect(experiment).deleted_files == 11
    assert experiment.originals() == [changed]


def test_what_a_symbolic_link_leads_to_is_kept(experiment: SmallExperiment, tmp_path: Path) -> None:
    elsewhere = experiment.folder / "elsewhere"
    elsewhere.mkdir()
    original = experiment.folder / name_of(0, 0, 0)
    experiment.extract()
    original.rename(elsewhere / original.name)
    original.symlink_to(elsewhere / original.name)
    result = collect(experiment)
    assert result.deleted_files == 11
    assert (elsewhere / original.name).exists()
    assert "symbolic link" in result.notes[0]


def test_a_constant_plane_holds_its_original_until_accepted(experiment: SmallExperiment) -> None:
    constant = experiment.folder / name_of(0, 0, 0)
    tifffile.imwrite(constant, np.zeros(SHAPE, "uint16"))
    register_as_is(experiment, constant)
    experiment.extract()
    result = collect(experiment)
    assert (result.suspect, result.deleted_files) == (1, 11)
    assert experiment.originals() == [constant]
    assert f"imextract {experiment.experiment_id} accept" in result.notes[0]


def test_another_experiment_on_the_same_files_holds_them(tmp_path: Path) -> None:
    first = make_experiment(tmp_path)
    second = make_experiment(tmp_path, settings=first.settings, name="second")
    assert second.experiment_id != first.experiment_id
    first.extract()
    result = collect(first)
    assert (result.extracted, result.deleted_files) == (12, 0)
    assert len(first.originals()) == 12
    assert f"of experiment {second.experiment_id} is planned" in result.notes[0]
    second.extract()
    assert collect(first).deleted_files == 12
    assert collect(second).kept_files == 0


def test_an_original_that_is_replaced_while_its_planes_are_proven_is_kept(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched, because the moment between proof and deletion cannot be hit from outside.
    experiment.extract()
    replaced = experiment.folder / name_of(0, 0, 0)

    def prove_slowly(store: FolderStore, plane: PlaneRecord, **how: bool) -> PixelArray:
        if plane.sources[0].source_file == replaced:
            tifffile.imwrite(replaced, np.ones(SHAPE, "uint16"))
        return load_plane(store, plane, **how)

    monkeypatch.setattr("imextract.proof.load_plane", prove_slowly)
    result = collect(experiment)
    assert (result.deleted_files, experiment.originals()) == (11, [replaced])
    assert str(replaced) in result.notes[0]


def test_planes_that_are_forgotten_while_they_are_proven_hold_their_original(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched, because the moment between proof and deletion cannot be hit from outside.
    experiment.extract()

    def prove_while_cleaned_up(store: FolderStore, plane: PlaneRecord, **how: bool) -> PixelArray:
        pixels = load_plane(store, plane, **how)
        with experiment.database.transaction() as session:
            plan_again(session, experiment.experiment_id)
        return pixels

    monkeypatch.setattr("imextract.proof.load_plane", prove_while_cleaned_up)
    result = collect(experiment)
    assert result.deleted_files == 0
    assert len(experiment.originals()) == 12
    assert any("changed while they were proven" in note for note in result.notes)


def test_files_that_others_register_while_they_are_proven_are_kept(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched, because the moment between proof and deletion cannot be hit from outside.
    experiment.extract()
    others: list[SmallExperiment] = []

    def prove_slowly(store: FolderStore, plane: PlaneRecord, **how: bool) -> PixelArray:
        if not others:
            folder, settings = experiment.folder.parent, experiment.settings
            others.append(make_experiment(folder, settings=settings, name="second"))
        return load_plane(store, plane, **how)

    monkeypatch.setattr("imextract.proof.load_plane", prove_slowly)
    result = collect(experiment)
    assert (result.deleted_files, len(experiment.originals())) == (0, 12)
    assert [batch.extracted for batch in others[0].extract()] == [12]


def test_proof_that_cannot_be_had_ends(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process comes up to prove in: each request must fail, and none wait for ever."""
    experiment.extract()
    monkeypatch.setattr("imextract.prover._WORTH_A_PROCESS", 1)
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert collect(experiment).deleted_files == 0
    assert len(experiment.originals()) == 12


def test_cleanup_keeps_what_a_deletion_cut_off_midway_left(experiment: SmallExperiment) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state="pending_deletion"))
    (experiment.folder / name_of(0, 0, 0)).unlink()
    with pytest.raises(ConfigError, match="the only copy"):
        experiment.extractor.delete_previous_job_output()
    assert len(experiment.stored_files()) == 12


def test_originals_that_a_deletion_did_not_reach_are_present_again(
    experiment: SmallExperiment,
) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state="pending_deletion"))
    collect(experiment, delete=False)
    with experiment.database.reading() as session:
        assert set(session.scalars(select(File.state))) == {"present"}
    assert experiment.extractor.delete_previous_job_output() == 12


def test_an_original_replaced_by_one_of_the_same_size_and_time_is_kept(
    experiment: SmallExperiment,
) -> None:
    experiment.extract()
    replaced = experiment.folder / name_of(0, 0, 0)
    times = replaced.stat()
    tifffile.imwrite(replaced, pixels_of(7, 7, 7))
    os.utime(replaced, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert replaced.stat().st_size == times.st_size
    result = collect(experiment)
    assert (result.deleted_files, experiment.originals()) == (11, [replaced])
    assert "gives other pixels than are stored" in result.notes[0]


def test_an_original_that_was_only_touched_on_the_outside_goes(
    experiment: SmallExperiment,
) -> None:
    experiment.extract()
    (experiment.folder / name_of(0, 0, 0)).chmod(0o444)
    os.link(experiment.folder / name_of(0, 0, 1), experiment.folder.parent / "link")
    assert collect(experiment).deleted_files == 12


def test_a_file_that_another_experiment_knows_by_another_name_stays_under_that(
    tmp_path: Path,
) -> None:
    first = make_experiment(tmp_path)
    (tmp_path / "linked" / "originals").mkdir(parents=True)
    for path in first.originals():
        os.link(path, tmp_path / "linked" / "originals" / path.name)
    second = make_experiment(tmp_path / "linked", settings=first.settings, name="second")
    first.extract()
    assert collect(first).deleted_files == 12
    assert len(second.originals()) == 12
    assert sum(result.extracted for result in second.extract()) == 12
    assert collect(second).deleted_files == 12


def test_proof_opens_a_file_once_however_many_planes_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment = of_two_stacks(tmp_path, zplanes=40)
    experiment.extract()
    caplog.clear()
    with caplog.at_level("DEBUG", "imextract.sources"):
        assert collect(experiment).deleted_files == 2
    opened = [text for text in caplog.messages if text.startswith("opened ")]
    assert len(opened) == 2


def test_one_failed_plane_of_a_file_of_many_keeps_the_file(tmp_path: Path) -> None:
    experiment = of_two_stacks(tmp_path)
    spoil_page(experiment.folder / "A1.tif", 2)
    register_as_is(experiment, experiment.folder / "A1.tif")
    experiment.extract()
    result = collect(experiment)
    assert (result.extracted, result.failed, result.deleted_files) == (7, 1, 1)
    assert experiment.originals() == [experiment.folder / "A1.tif"]
    assert "1 planes are not extracted" in result.notes[0]
    assert result.notes[1].startswith(f"kept: {experiment.folder / 'A1.tif'}: page 2 at offset ")


def of_two_stacks(tmp_path: Path, zplanes: int = 4) -> SmallExperiment:
    """Register two acquisitions, a file of a few planes each."""
    folder = tmp_path / "originals"
    folder.mkdir()
    manifest = Manifest(folder, "pattern", channels={"DAPI": ChannelInfo("DAPI")})
    held = Rows()
    manifest.row_groups.append(held)
    key = SiteKey("P1", "A01", 0)
    manifest.sites[key] = SiteInfo(0, 0, *SHAPE)
    for number, name in enumerate(("A1", "A2")):
        path = folder / f"{name}.tif"
        stack = np.stack([pixels_of(number, 0, zplane) for zplane in range(zplanes)])
        tifffile.imwrite(path, stack, compression="zlib", photometric="minisblack")
        manifest.data_sets.append(DataSet(seen(folder, path), (), "tifffile", "TIFF"))
        held.held += [
            ManifestRow(
                key, name, 0, "DAPI", 0, zplane, path.name, PlaneRef(0, zplane), *SHAPE, "uint16"
            )
            for zplane in range(zplanes)
        ]
    settings = settings_in(tmp_path)
    database = Database(settings.database_url)
    database.prepare()
    with database.transaction() as session:
        written = write_manifest(
            session, manifest, name="stacks", experiment_id=None, projects=False
        )
    return SmallExperiment(written.experiment_id, settings, folder)


def spoil_page(path: Path, number: int) -> None:
    """Overwrite what a page holds, and nothing else."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[number]
        offset, size = page.dataoffsets[0], page.databytecounts[0]
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))


def test_the_sources_of_projections_go_together(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=2, zplanes=3, projects=True)
    experiment.extract()
    assert collect(experiment).deleted_files == 12
    assert experiment.originals() == []


def test_one_changed_source_of_a_projection_keeps_all_of_it(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=2, zplanes=3, projects=True)
    experiment.extract()
    os.utime(experiment.folder / name_of(1, 1, 2))
    assert collect(experiment).deleted_files == 9
    assert experiment.originals() == [experiment.folder / name_of(1, 1, z) for z in range(3)]


@pytest.mark.parametrize("projection", [None, "max"])
def test_a_file_with_planes_that_nobody_stores_stays(
    tmp_path: Path, projection: str | None
) -> None:
    """A manifest leaves a plane of a stack out, or says that it is absent."""
    settings, folder, csv = settings_in(tmp_path), tmp_path / "plate", tmp_path / "planes.csv"
    for site, zplane in product(range(2), range(2)):
        pixels = np.stack([pixels_of(site, channel, zplane) for channel in range(2)])
        folder.mkdir(exist_ok=True)
        tifffile.imwrite(folder / f"s{site}_z{zplane}.tif", pixels, metadata=None)
    request = RegistrationRequest(
        folder=folder, name="stacks", pattern=r"s(?P<s>\d)_z(?P<z>\d)\.tif", check=0, manifest=csv
    )
    register_folder(request.model_copy(update={"dry_run": True}), settings)
    head, *lines = csv.read_text("utf-8").splitlines()
    kept = [line for line in lines if "s0_z1.tif,0,1," not in line]
    assert len(kept) == len(lines) - 1
    gone = [line.replace("planned,s0_z1.tif,0,1", "absent,,,") for line in lines]
    csv.write_text("\n".join([head, *(gone if projection else kept)]), "utf-8")
    request = request.model_copy(update={"projection": projection})
    experiment_id = register_folder(request, settings).experiment_id
    assert experiment_id is not None
    experiment = SmallExperiment(experiment_id, settings, folder)
    experiment.extract()
    result = collect(experiment)
    # What is left of a stack is not projected, so none of it is stored.
    left = ["s0_z0.tif", "s0_z1.tif"] if projection else ["s0_z1.tif"]
    assert [path.name for path in experiment.originals()] == left
    assert result.kept_files == len(left)
    told = [f"kept: {folder / name}: it has planes that nobody stores" for name in left]
    assert [note.partition(",")[0] for note in result.notes] == told


@pytest.mark.parametrize("worth_a_process", [1, 10_000])
def test_proof_is_the_same_in_many_processes_and_in_one(
    experiment: SmallExperiment, worth_a_process: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imextract.prover._WORTH_A_PROCESS", worth_a_process)
    experiment.extract()
    rotten, missing = experiment.stored_files()[:2]
    rotten.write_bytes(rotten.read_bytes()[:-1] + b"?")
    missing.write_bytes(bytes(missing.stat().st_size))
    result = collect(experiment)
    assert result.deleted_files == 10
    assert [str(rotten) in result.notes[0], str(missing) in result.notes[1]] == [True, True]


def test_intent_is_recorded_before_anything_is_deleted(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched: root, which tests may run as, is never refused by a file system.
    experiment.extract()

    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".tif":
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    result = collect(experiment)
    monkeypatch.undo()
    assert (result.deleted_files, len(experiment.originals())) == (0, 12)
    assert "Operation not permitted" in result.notes[0]
    with experiment.database.reading() as session:
        assert set(session.scalars(select(File.state))) == {"pending_deletion"}
    assert collect(experiment).deleted_files == 12


def test_when_an_original_goes_the_ledger_has_said_so_before(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched, because what others saw of the ledger is over with the call.
    experiment.extract()
    unlink = Path.unlink
    states: list[str | None] = []

    def look(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".tif":
            with experiment.database.reading() as session:
                states.append(session.scalar(select(File.state).where(File.path == path.name)))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", look)
    assert collect(experiment).deleted_files == 12
    assert states == ["pending_deletion"] * 12


@pytest.mark.parametrize("how", ["absolute", "upwards"])
def test_no_path_of_the_ledger_leads_deletion_out_of_the_folder(
    experiment: SmallExperiment, how: str
) -> None:
    experiment.extract()
    original = experiment.folder / name_of(0, 0, 0)
    outside = Path(shutil.copy2(original, experiment.folder.parent / "outside.tif"))
    path = str(outside) if how == "absolute" else "../outside.tif"
    with experiment.database.transaction() as session:
        session.execute(update(File).where(File.path == original.name).values(path=path))
    assert collect(experiment).deleted_files == 11
    assert outside.exists()
    assert original.exists()


def test_a_file_of_which_no_plane_is_stored_stays(experiment: SmallExperiment) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        first = session.scalars(select(File.id).order_by(File.id)).first()
        depends = SourcePlaneRow.microscope_image_file_id == first
        session.execute(delete(SourcePlaneRow).where(depends))
    result = collect(experiment)
    assert (result.deleted_files, len(experiment.originals())) == (11, 1)
    assert "no plane of it is stored" in result.notes[0]


def test_pixels_put_from_elsewhere_hold_the_original(experiment: SmallExperiment) -> None:
    experiment.extract()
    image = next(ChannelImageFile.find(experiment.experiment_id, experiment.settings))
    image.put(pixels_of(9, 9, 9))
    result = collect(experiment)
    assert (result.suspect, result.deleted_files) == (1, 11)
    assert experiment.originals() == [image.record.sources[0].source_file]


def test_collect_tidies_away_what_killed_writers_left(experiment: SmallExperiment) -> None:
    experiment.extract()
    incoming = Path(experiment.settings.storage_url) / ".incoming"
    left = incoming / f"{socket.gethostname()}-999999999-{16 * 'a'}"
    left.touch()
    collect(experiment, delete=False)
    assert not left.exists()


@pytest.mark.parametrize("delete", [True, False])
def test_a_disk_that_is_not_mounted_is_not_taken_for_a_deletion(
    experiment: SmallExperiment, delete: bool
) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state="pending_deletion"))
    elsewhere = experiment.folder.rename(experiment.folder.with_name("unmounted"))
    assert collect(experiment, delete).deleted_files == 0
    with pytest.raises(ConfigError, match="the only copy"):
        experiment.extractor.delete_previous_job_output(force=True)
    elsewhere.rename(experiment.folder)
    assert experiment.extractor.delete_previous_job_output() == 12
    experiment.extract()
    assert collect(experiment).deleted_files == 12


def test_a_deletion_cut_off_midway_is_finished_by_the_next(experiment: SmallExperiment) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state="pending_deletion"))
    (experiment.folder / name_of(0, 0, 0)).unlink()
    result = collect(experiment)
    assert (result.deleted_files, result.kept_files) == (12, 0)
    assert experiment.originals() == []
