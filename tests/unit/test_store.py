"""The store: whole files or none, inside its folder."""

import errno
import os
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest

from imextract.errors import ConfigError, DamagedPlaneError, StorageError
from imextract.store import FolderStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    store = FolderStore(tmp_path / "planes")
    store.check()
    return store


def test_what_was_put_is_got(store: FolderStore) -> None:
    store.put("1/000/7.h5", b"pixels")
    assert store.get("1/000/7.h5") == b"pixels"
    store.put("1/000/7.h5", b"other pixels", replaces=True)
    assert store.get("1/000/7.h5") == b"other pixels"
    assert store.sizes("1/000") == {"7.h5": 12}
    assert list(store.incoming.iterdir()) == []


@pytest.mark.parametrize("has_links", [True, False])
def test_who_comes_late_replaces_nothing(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        # Patched: no file system of this machine is without.
        refused = OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        monkeypatch.setattr(Path, "hardlink_to", Mock(side_effect=refused))
    store.put("1/7.h5", b"pixels")
    with pytest.raises(StorageError, match="another run has stored it"):
        store.put("1/7.h5", b"the same, compressed otherwise")
    assert store.get("1/7.h5") == b"pixels"
    assert list(store.incoming.iterdir()) == []


def test_only_what_was_seen_is_removed(store: FolderStore) -> None:
    store.put("1/7.h5", b"pixels")
    store.remove("1/7.h5", b"what it was before")
    assert store.find("1/7.h5") == b"pixels"
    store.remove("1/7.h5", b"pixels")
    store.remove("1/7.h5", b"pixels")
    assert store.find("1/7.h5") is None


def test_a_file_is_flushed_before_its_name_and_the_name_after(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Patched: only a power cut would show what was not flushed.
    store.put("1/6.h5", b"the folders are there")
    flushed = []

    def record(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        flushed.append((path.parent.name, path.name, (store.root / "1" / "7.h5").exists()))

    monkeypatch.setattr(os, "fsync", record)
    store.put("1/7.h5", b"pixels")
    (in_folder, _, named), (_, folder, named_then) = flushed
    assert (in_folder, named) == (".incoming", False)
    assert (folder, named_then) == ("1", True)


def test_a_failed_put_leaves_the_old_file_and_no_other(store: FolderStore) -> None:
    store.put("1/7.h5", b"old")
    (store.root / ".incoming").rename(store.root / "moved")
    (store.root / ".incoming").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        store.put("1/7.h5", b"new", replaces=True)
    assert store.get("1/7.h5") == b"old"
    assert store.sizes("1") == {"7.h5": 3}


def flushed_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is flushed; patched, because only a power cut would show what was not."""
    names: list[str] = []

    def record(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", record)
    return names


def test_folders_that_a_killed_writer_made_are_flushed(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.root / "1" / "000").mkdir(parents=True)
    names = flushed_by(monkeypatch)
    FolderStore(store.root).put("1/000/7.h5", b"pixels")
    assert names[1:] == ["planes", "1", "000"]


def test_what_is_secured_is_flushed_with_its_name(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("1/7.h5", b"pixels")
    names = flushed_by(monkeypatch)
    FolderStore(store.root).secure("1/7.h5")
    assert names == ["7.h5", "planes", "1"]


def test_nothing_is_stored_where_the_storage_is_not_mounted(store: FolderStore) -> None:
    (store.root / ".incoming").rmdir()
    with pytest.raises(StorageError, match="the storage is not there; mount it"):
        store.put("1/7.h5", b"pixels")
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("location", ["../7.h5", "/etc/passwd", "1/../../7.h5", "", "."])
def test_a_location_outside_is_refused(store: FolderStore, location: str) -> None:
    with pytest.raises(StorageError, match="outside the storage"):
        store.path(location)


def test_a_missing_file_is_named(store: FolderStore) -> None:
    with pytest.raises(DamagedPlaneError, match=r"7\.h5: the stored plane is missing"):
        store.get("1/7.h5")


def test_only_leavings_of_dead_processes_are_swept(store: FolderStore) -> None:
    here = socket.gethostname()
    dead = store.root / ".incoming" / f"{here}-999999999-{16 * 'a'}"
    alive = store.root / ".incoming" / f"{here}-{os.getpid()}-{16 * 'b'}"
    elsewhere = store.root / ".incoming" / f"other-host-999999999-{16 * 'c'}"
    foreign = store.root / ".incoming" / ".nfs0000123"
    long_over = elsewhere.with_name(f"other-host-1-{16 * 'd'}")
    for path in (dead, alive, elsewhere, foreign, long_over):
        path.touch()
    two_days_ago = long_over.stat().st_mtime - 2 * 24 * 3600
    os.utime(long_over, (two_days_ago, two_days_ago))
    assert store.sweep() == 2
    assert not dead.exists()
    assert not long_over.exists()
    assert alive.exists()
    assert elsewhere.exists()
    assert foreign.exists()


@pytest.mark.parametrize("url", ["{}", "file://{}"])
def test_a_folder_is_given_as_path_or_url(tmp_path: Path, url: str) -> None:
    assert open_store(url.format(tmp_path / "a b")).root == tmp_path / "a b"


def test_storage_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="s3:// is not supported"):
        open_store("s3://bucket/planes")


def test_a_disk_that_cannot_be_read_is_no_damage_and_a_missing_file_is(store: FolderStore) -> None:
    store.put("1/7.h5", b"pixels")
    fails = Mock(side_effect=OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(StorageError, match="cannot be read") as told:
        store.read("1/7.h5", fails)
    assert not isinstance(told.value, DamagedPlaneError)
    with pytest.raises(DamagedPlaneError, match="missing"):
        store.read("1/8.h5", Path.read_bytes)
    with pytest.raises(DamagedPlaneError, match="told so"):
        store.read("1/7.h5", Mock(side_effect=DamagedPlaneError("told so")))
