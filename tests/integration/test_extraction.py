"""Extraction without Bio-Formats: every plane, its failure, its resume, its log."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Barrier

import h5py
import numpy as np
import pytest
import tifffile
from sqlalchemy import delete, func, select, update

from imextract.batches import ImextractBatchArguments
from imextract.channel_image_file import ChannelImageFile
from imextract.database.models import ChannelImageFileRow
from imextract.database.models import MicroscopeImageFileRow as File
from imextract.database.planes import NOT_STORED, PlaneRecord
from imextract.errors import (
    ConfigError,
    DamagedPlaneError,
    PlaneMismatchError,
    PlaneNotFoundError,
    StorageError,
)
from imextract.planes import PixelArray
from imextract.proof import Proof, ProofKind
from imextract.records import current_jobs
from imextract.store import FolderStore
from imextract.stored import load_plane
from imextract.stored_pixels import decode_plane
from imextract.verify import verify_experiment
from tests.experiments import (
    CHANNELS,
    SHAPE,
    SmallExperiment,
    make_experiment,
    name_of,
    pixels_of,
)


@pytest.fixture
def experiment(tmp_path: Path) -> SmallExperiment:
    return make_experiment(tmp_path)


def images(experiment: SmallExperiment, **wanted: str | int) -> list[ChannelImageFile]:
    return list(ChannelImageFile.find(experiment.experiment_id, experiment.settings, **wanted))


def states(experiment: SmallExperiment) -> dict[str, int]:
    return {
        state: len(images(experiment, state=state))
        for state in ("planned", "extracted", "failed", "absent")
    }


def test_every_plane_comes_back_as_it_was(experiment: SmallExperiment) -> None:
    results = experiment.extract(compression="lz4")
    assert [(r.planned, r.extracted, r.failed) for r in results] == [(12, 12, 0)]
    found = images(experiment)
    assert len(found) == 12
    for image in found:
        record = image.record
        expected = pixels_of(
            int(record.well[1:]) - 1, CHANNELS.index(record.channel), record.zplane
        )
        np.testing.assert_array_equal(image.get(), expected)
        np.testing.assert_array_equal(
            image.get(y=slice(3, 20), x=slice(None, None, 2)), expected[3:20, ::2]
        )


def test_stored_planes_that_were_exchanged_are_refused(experiment: SmallExperiment) -> None:
    experiment.extract(compression="none")
    exchanged = images(experiment)[:2]
    one, other = (experiment.store.path(str(image.record.location)) for image in exchanged)
    assert one.stat().st_size == other.stat().st_size
    (kept := one.with_suffix(".kept")).hardlink_to(one)
    other.rename(one)
    kept.rename(other)
    for image in exchanged:
        with pytest.raises(DamagedPlaneError, match="another plane's"):
            image.get(y=slice(3, 20))
        with pytest.raises(DamagedPlaneError, match="damaged"):
            image.get()


def test_planes_are_found_by_what_they_are(experiment: SmallExperiment) -> None:
    found = images(experiment, well="A02", channel="GFP", zplane=1)
    assert [image.record.sources[0].source_file.name for image in found] == [name_of(1, 1, 1)]


def test_a_stored_plane_tells_all_about_itself(experiment: SmallExperiment) -> None:
    experiment.extract()
    image = images(experiment, well="A02", channel="GFP", zplane=1)[0]
    assert image.record.location is not None
    with h5py.File(experiment.store.path(image.record.location)) as file:
        told = dict(file.attrs)
    assert told["plate"] == "P1"
    assert (told["well"], told["site"], told["channel"]) == ("A02", 0, "GFP")
    assert (told["tpoint"], told["zplane"], told["cycle"]) == (0, 1, 0)
    assert told["source_file"] == str(experiment.folder / name_of(1, 1, 1))
    assert (told["series"], told["plane"]) == ("0", "0")
    assert told["checksum"] == image.checksum
    assert told["format_version"] == 1


def test_a_projection_is_the_brightest_of_its_planes(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=2, zplanes=3, projects=True)
    assert [result.extracted for result in experiment.extract()] == [4]
    image = images(experiment, well="A01", channel="GFP")[0]
    stack = np.stack([pixels_of(0, 1, zplane) for zplane in range(3)])
    np.testing.assert_array_equal(image.get(), stack.max(axis=0))
    assert image.get().dtype == stack.dtype
    assert [source.source_file.name for source in image.record.sources] == [
        name_of(0, 1, zplane) for zplane in range(3)
    ]


def test_what_is_left_of_a_stack_is_not_projected(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, sites=2, zplanes=3, projects=True, lacks_first=True)
    assert [result.extracted for result in experiment.extract()] == [3]
    (absent,) = images(experiment, state="absent")
    assert (absent.record.well, absent.record.channel) == ("A01", "DAPI")
    assert absent.record.sources == ()


def test_one_bad_plane_stops_nothing_but_itself(experiment: SmallExperiment) -> None:
    bad = experiment.folder / name_of(1, 0, 0)
    found = bad.stat()
    bad.write_bytes(bad.read_bytes()[:-100] + bytes(100))
    os.truncate(bad, found.st_size - 100)
    os.utime(bad, ns=(found.st_atime_ns, found.st_mtime_ns))
    results = experiment.extract()
    assert [(r.extracted, r.failed) for r in results] == [(11, 1)]
    assert bad.name in results[0].failures[0]
    failed = images(experiment, state="failed")
    assert [image.record.sources[0].source_file for image in failed] == [bad]
    assert str(bad) in str(failed[0].record.error)
    with pytest.raises(DamagedPlaneError, match="is failed"):
        failed[0].get()


def test_a_truncated_original_fails_and_is_never_zeros(experiment: SmallExperiment) -> None:
    bad = experiment.folder / name_of(1, 0, 0)
    whole = bad.read_bytes()
    os.truncate(bad, len(whole) // 2)
    register_as_is(experiment, bad)
    assert [r.failed for r in experiment.extract()] == [1]
    bad.write_bytes(whole)
    register_as_is(experiment, bad)
    assert [(r.extracted, r.failed) for r in experiment.extract()] == [(1, 0)]
    assert states(experiment)["extracted"] == 12


def register_as_is(experiment: SmallExperiment, path: Path) -> None:
    """Let the ledger believe that the file was like this when it was registered."""
    found = path.stat()
    with experiment.database.transaction() as session:
        session.execute(
            update(File)
            .where(File.path == path.name)
            .values(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns)
        )


def test_a_changed_or_missing_original_fails_by_name(experiment: SmallExperiment) -> None:
    changed, missing = (experiment.folder / name_of(0, 0, z) for z in range(2))
    tifffile.imwrite(changed, np.zeros(SHAPE, "uint16"))
    missing.unlink()
    failures = experiment.extract()[0].failures
    assert len(failures) == 2
    assert any(changed.name in failure and "register" in failure for failure in failures)
    assert any(missing.name in failure and "No such file" in failure for failure in failures)


def test_a_plane_of_another_size_than_planned_fails(experiment: SmallExperiment) -> None:
    path = experiment.folder / name_of(0, 0, 0)
    tifffile.imwrite(path, np.ones((8, 8), "uint16"))
    register_as_is(experiment, path)
    failures = experiment.extract()[0].failures
    assert len(failures) == 1
    assert "8 x 8 uint16, registered was 48 x 64 uint16" in failures[0]


def test_a_constant_plane_is_kept_and_suspect(experiment: SmallExperiment) -> None:
    path = experiment.folder / name_of(0, 0, 0)
    tifffile.imwrite(path, np.full(SHAPE, 7, "uint16"))
    register_as_is(experiment, path)
    experiment.extract()
    suspect = [image for image in images(experiment) if image.record.is_suspect]
    assert [image.record.sources[0].source_file for image in suspect] == [path]
    assert (suspect[0].get() == 7).all()


def test_a_rerun_takes_over_what_a_killed_job_stored(experiment: SmallExperiment) -> None:
    experiment.extract()
    before = {path: path.stat().st_mtime_ns for path in experiment.stored_files()}
    forget(experiment)
    # One of them is of another plane, as after a mix-up; one is damaged.
    first, second, *rest = before
    first.write_bytes(second.read_bytes())
    content = bytearray(rest[0].read_bytes())
    content[len(content) // 2] ^= 1
    rest[0].write_bytes(content)
    result = experiment.extract()[0]
    assert (result.extracted, result.already_there, result.failed) == (2, 10, 0)
    assert all(path.stat().st_mtime_ns == before[path] for path in rest[1:])
    assert_all_whole(experiment)


def test_what_was_stored_from_another_state_of_the_files_is_not_taken_over(
    experiment: SmallExperiment,
) -> None:
    experiment.extract()
    forget(experiment)
    companion = experiment.folder / "companion.tif"
    companion.write_bytes(b"pixels live here")
    with experiment.database.transaction() as session:
        entry = session.scalars(select(File).order_by(File.id)).first()
        assert entry is not None
        session.add(
            File(
                acquisition_id=entry.acquisition_id,
                entry_id=entry.id,
                path=companion.name,
                size_bytes=companion.stat().st_size,
                mtime_ns=companion.stat().st_mtime_ns,
                holds_pixels=True,
                reader="tifffile",
                format_name="TIFF",
            )
        )
    (result,) = experiment.extract()
    assert (result.extracted, result.already_there) == (1, 11)


def test_of_what_is_another_plane_no_pixels_are_decoded(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.extract()
    forget(experiment)
    first, second, *rest = experiment.stored_files()
    first.write_bytes(second.read_bytes())
    decoded: list[str] = []

    def decode(content: bytes, name: str) -> PixelArray:
        decoded.append(name)
        return decode_plane(content, name)

    monkeypatch.setattr("imextract.stored.decode_plane", decode)
    assert experiment.extract()[0].extracted == 1
    assert {Path(name).name for name in decoded} == {path.name for path in (second, *rest)}


def test_ids_of_planes_are_never_given_again(experiment: SmallExperiment) -> None:
    with experiment.database.transaction() as session:
        newest = session.scalar(select(func.max(ChannelImageFileRow.id)))
        session.execute(delete(ChannelImageFileRow))
    register_again = make_experiment(
        experiment.folder.parent, settings=experiment.settings, name="again"
    )
    first = next(iter(images(register_again)))
    assert newest is not None
    assert first.record.id > newest


def test_a_job_that_is_done_may_be_run_again(experiment: SmallExperiment) -> None:
    extractor = experiment.extractor
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    extractor.run_job(batch)
    again = extractor.run_job(batch)
    assert (again.extracted, again.already_there, again.failed) == (0, 12, 0)


def test_a_clean_state_may_be_assumed(experiment: SmallExperiment) -> None:
    experiment.extract()
    forget(experiment)
    extractor = experiment.extractor
    batches = list(extractor.create_run_batches(ImextractBatchArguments()))
    assert extractor.run_job(batches[0], assume_clean_state=True).extracted == 12


def forget(experiment: SmallExperiment) -> None:
    """Set the ledger back to before the job's last transaction."""
    with experiment.database.transaction() as session:
        session.execute(update(ChannelImageFileRow).values(**NOT_STORED))


def assert_all_whole(experiment: SmallExperiment) -> None:
    found = list(verify_experiment(experiment.place, experiment.experiment_id))
    assert len(found) == 12
    assert [plane.error for plane in found] == [None] * 12


def test_verify_names_what_rotted(experiment: SmallExperiment) -> None:
    experiment.extract()
    assert_all_whole(experiment)
    rotten, missing = experiment.stored_files()[:2]
    content = bytearray(rotten.read_bytes())
    content[-1] ^= 1
    rotten.write_bytes(content)
    missing.unlink()
    found = verify_experiment(experiment.place, experiment.experiment_id)
    errors = [plane.error for plane in found if plane.error is not None]
    assert len(errors) == 2
    assert any(str(rotten) in error and "damaged" in error for error in errors)
    assert any(str(missing) in error and "missing" in error for error in errors)


def test_a_plane_is_read_while_another_is_decompressed(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment.extract()
    both = Barrier(2)

    def load(store: FolderStore, plane: PlaneRecord, *, from_disk: bool) -> PixelArray:
        both.wait(timeout=10)
        return load_plane(store, plane, from_disk=from_disk)

    monkeypatch.setattr("imextract.proof.load_plane", load)
    monkeypatch.setattr("imextract.prover._PIECE", 1)
    monkeypatch.setattr("imextract.prover.usable_cores", lambda: 1)
    assert_all_whole(experiment)
    with Proof(experiment.place, threads=2) as proof:
        assert not proof.errors([image.record.id for image in images(experiment)], "stored")


def test_storage_that_fails_stops_the_job_and_keeps_what_is_done(
    experiment: SmallExperiment,
) -> None:
    extractor = experiment.extractor
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    place = Path(experiment.settings.storage_url)
    incoming = place / ".incoming"
    extractor.run_job(batch)
    for path in experiment.stored_files()[5:]:
        path.unlink()
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    incoming.rename(place / "moved")
    incoming.write_text("in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        extractor.run_job(batch)
    assert states(experiment) == {"planned": 7, "extracted": 5, "failed": 0, "absent": 0}
    (job,) = current_jobs(experiment.experiment_id, "run", experiment.settings)
    assert job.runs[0].state == "failed"
    assert "cannot be written" in str(job.runs[0].error)
    incoming.unlink()
    (place / "moved").rename(incoming)
    assert extractor.run_job(batch).extracted == 7


def test_a_job_leaves_its_log_and_counts(experiment: SmallExperiment) -> None:
    (experiment.folder / name_of(0, 0, 0)).unlink()
    logging.getLogger("imextract").setLevel(logging.ERROR)
    experiment.extract()
    (job,) = current_jobs(experiment.experiment_id, "run", experiment.settings)
    (run,) = job.runs
    assert (job.sites, job.planes, run.state, run.process) == (3, 12, "done", os.getpid())
    assert (run.extracted, run.failed) == (11, 1)
    assert name_of(0, 0, 0) in run.log
    assert "11 planes extracted" in run.log


def test_cleanup_forgets_output_and_keeps_the_plan(experiment: SmallExperiment) -> None:
    experiment.extract()
    assert experiment.extractor.delete_previous_job_output() == 12
    assert experiment.stored_files() == []
    assert states(experiment)["planned"] == 12


@pytest.mark.parametrize("how", ["missing", "changed", "replaced in secret", "rotten"])
def test_cleanup_and_restart_keep_the_only_copy(experiment: SmallExperiment, how: str) -> None:
    experiment.extract()
    original = experiment.folder / name_of(0, 0, 0)
    times = original.stat()
    if how == "missing":
        original.unlink()
    elif how == "changed":
        os.utime(original)
    else:
        tifffile.imwrite(original, pixels_of(7, 7, 7))
        if how == "rotten":
            original.write_bytes(b"?" * times.st_size)
        os.utime(original, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert original.stat().st_size == times.st_size
    before = experiment.stored_files()
    with pytest.raises(ConfigError, match="the only copy"):
        experiment.extractor.delete_previous_job_output()
    with pytest.raises(ConfigError, match="the only copy"):
        experiment.extract(restart=True)
    assert experiment.stored_files() == before
    assert states(experiment)["extracted"] == 12


def test_an_original_that_changes_while_all_are_read_again_keeps_all(
    experiment: SmallExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched, because the moment after its proof cannot be hit from outside.
    experiment.extract()
    original = experiment.folder / name_of(0, 0, 0)
    times = original.stat()
    errors = Proof.errors

    def replace_when_read(proof: Proof, plane_ids: Sequence[int], kind: ProofKind) -> object:
        found = errors(proof, plane_ids, kind)
        tifffile.imwrite(original, pixels_of(7, 7, 7))
        os.utime(original, ns=(times.st_atime_ns, times.st_mtime_ns))
        return found

    monkeypatch.setattr(Proof, "errors", replace_when_read)
    with pytest.raises(ConfigError, match="changed while all were read again"):
        experiment.extractor.delete_previous_job_output()
    assert len(experiment.stored_files()) == 12


def test_cleanup_may_be_forced_unless_originals_were_deleted(experiment: SmallExperiment) -> None:
    """Whoever moved a folder, or copied it to another disk, is not locked out."""
    experiment.extract()
    experiment.folder.rename(experiment.folder.with_name("moved"))
    with pytest.raises(ConfigError, match=r"cleanup --force`"):
        experiment.extractor.delete_previous_job_output()
    assert experiment.extractor.delete_previous_job_output(force=True) == 12
    assert experiment.stored_files() == []


def test_a_plane_that_failed_does_not_stand_in_the_way_of_cleanup(
    experiment: SmallExperiment,
) -> None:
    (experiment.folder / name_of(0, 0, 0)).unlink()
    experiment.extract()
    assert experiment.extractor.delete_previous_job_output() == 12
    assert experiment.stored_files() == []


def test_restart_extracts_everything_again(experiment: SmallExperiment) -> None:
    experiment.extract()
    assert [result.extracted for result in experiment.extract(restart=True)] == [12]


def test_put_stores_only_what_fits_the_plane(experiment: SmallExperiment) -> None:
    image = images(experiment)[0]
    with pytest.raises(PlaneMismatchError, match="48 x 64 uint16"):
        image.put(np.zeros((4, 4), "uint16"))
    pixels = pixels_of(7, 0, 0)
    image.put(pixels, "gzip")
    again = ChannelImageFile.open(image.record.id, experiment.settings)
    np.testing.assert_array_equal(again.get(), pixels)
    assert again.record.compression == "gzip"


def test_an_unknown_plane_is_named(experiment: SmallExperiment) -> None:
    with pytest.raises(PlaneNotFoundError, match="no plane 999"):
        ChannelImageFile.open(999, experiment.settings)
