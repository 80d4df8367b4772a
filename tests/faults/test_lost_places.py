"""Storage, originals and the right to touch them, lost in the middle."""

import os
from pathlib import Path

import pytest

from tests.experiments import name_of
from tests.faults.disks import image_disk, make_image
from tests.faults.victim import SESSION, Victim

NOBODY = 65534


@pytest.fixture
def users_folder(open_folder: Path) -> Path:
    """A folder that belongs to a user without privileges."""
    if os.geteuid() != 0:
        pytest.skip("only root can take another user's part")
    return open_folder


def give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def test_storage_that_may_no_longer_be_written_stops_the_job(users_folder: Path) -> None:
    victim = Victim(users_folder)
    assert victim.run("init --delete") == 0
    give_away(users_folder)
    (victim.storage / ".incoming").chmod(0o555)
    assert victim.run("run", "collect", user=NOBODY) == 1
    assert "Permission denied" in victim.said
    victim.check()
    (victim.storage / ".incoming").chmod(0o755)
    assert victim.run(*SESSION, user=NOBODY) == 0, victim.said
    victim.check_finished(originals=0)


def test_originals_that_may_not_be_deleted_wait_for_the_next_collect(users_folder: Path) -> None:
    victim = Victim(users_folder)
    give_away(users_folder)
    victim.experiment.folder.chmod(0o555)
    assert victim.run(*SESSION, user=NOBODY) == 0, victim.said
    assert "Permission denied" in victim.said
    victim.check_finished(originals=12)
    victim.experiment.folder.chmod(0o755)
    assert victim.run("collect", user=NOBODY) == 0, victim.said
    victim.check_finished(originals=0)


def test_a_ledger_that_may_not_be_written_is_named(users_folder: Path) -> None:
    victim = Victim(users_folder)
    assert victim.run("init --delete") == 0
    give_away(users_folder)
    ledger = users_folder / "ledger.db"
    ledger.chmod(0o444)
    users_folder.chmod(0o555)
    assert victim.run("run", user=NOBODY) == 1
    assert f"imextract: error: database sqlite:///{ledger}" in victim.said
    users_folder.chmod(0o755)
    ledger.chmod(0o644)
    victim.resume()
    victim.check_finished(originals=0)


def test_nothing_is_stored_under_a_disk_that_was_unmounted(tmp_path: Path) -> None:
    image, disk = make_image(tmp_path / "disk.img"), tmp_path / "planes"
    with image_disk(image, disk):
        victim = Victim(tmp_path)
        assert victim.run("init --delete -b 1", "run -j 1") == 0, victim.said
    assert not os.path.ismount(disk)
    for words in ("run -j 2", "collect", "init"):
        assert victim.run(words) == 1
        assert victim.said.splitlines()[-1].endswith(f"(if all is lost: mkdir -p {disk}/.incoming)")
    assert list(disk.iterdir()) == []
    assert len(victim.experiment.originals()) == 12
    with image_disk(image, disk):
        victim.resume()
        victim.check_finished(originals=0)


def test_originals_that_are_moved_away_fail_by_name_and_come_back(quick_folder: Path) -> None:
    victim = Victim(quick_folder)
    folder = victim.experiment.folder
    assert victim.run("init --delete -b 1", "run -j 1") == 0, victim.said
    moved = folder.rename(folder.with_name("moved"))
    assert victim.run("run -j 2", "collect") == 1
    assert f"{folder / name_of(1, 0, 0)}: No such file" in victim.said
    assert len(list(moved.iterdir())) == 12
    moved.rename(folder)
    victim.resume()
    victim.check_finished(originals=0)


def test_what_the_disk_lost_though_memory_has_it_keeps_its_original(tmp_path: Path) -> None:
    image = make_image(tmp_path / "disk.img")
    with image_disk(image, tmp_path / "planes"):
        victim = Victim(tmp_path)
        assert victim.run("init --delete", "run") == 0, victim.said
        os.sync()
        spoilt = victim.records()[0]
        assert spoilt.location is not None
        flip_below(image, (victim.storage / spoilt.location).read_bytes())
        assert victim.run("collect") == 0, victim.said
        assert victim.experiment.originals() == [spoilt.sources[0].source_file]
        assert "the stored plane is damaged" in victim.said


def flip_below(image: Path, content: bytes) -> None:
    """Change a bit of a file on the disk of which this is the image."""
    middle = content[len(content) // 2 :][:64]
    at = image.read_bytes().index(middle)
    with image.open("r+b") as disk:
        disk.seek(at)
        disk.write(bytes([middle[0] ^ 1]))
        disk.flush()
        os.fsync(disk.fileno())
