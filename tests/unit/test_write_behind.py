"""Planes stored behind the back of the reader: a few at a time, none told before it is durable."""

import threading
from pathlib import Path

import numpy as np
import pytest

from imextract.database.planes import PlaneRecord, planes_of_batch
from imextract.durable import Bytes
from imextract.errors import StorageError
from imextract.store import FolderStore
from imextract.stored import EncodedPlane, encode
from imextract.write_behind import WriteBehind
from tests.experiments import make_experiment


class SlowStore(FolderStore):
    """Finishes a write only when it is told to; refuses locations that it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.may_finish = threading.Event()
        self.refused: set[str] = set()
        self.check()

    def put(self, location: str, content: Bytes, *, replaces: bool = False) -> None:
        self.may_finish.wait()
        if location in self.refused:
            raise StorageError(f"{location}: no space")
        super().put(location, content, replaces=replaces)


@pytest.fixture
def planes(tmp_path: Path) -> list[tuple[PlaneRecord, EncodedPlane]]:
    experiment = make_experiment(tmp_path)
    experiment.extract()
    with experiment.database.reading() as session:
        records = planes_of_batch(session, 1)
    assert len(records) == 12
    pixels = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    return [(record, encode(record, pixels, "zstd", "")) for record in records]


def test_no_plane_is_told_before_its_file_is_there(
    tmp_path: Path, planes: list[tuple[PlaneRecord, EncodedPlane]]
) -> None:
    store = SlowStore(tmp_path / "other")
    with WriteBehind(store) as writer:
        early = [done for plane in planes[:4] for done in writer.add(*plane)]
        store.may_finish.set()
        later = [done for plane in planes[4:] for done in writer.add(*plane)]
        for _, encoded in later:
            assert store.get(encoded.stored.location) == encoded.content
        rest = list(writer.rest())
    assert early == []
    assert len(later) == 8
    assert [plane.id for plane, _ in later + rest] == [plane.id for plane, _ in planes]


def test_what_fails_stops_none_of_the_others(
    tmp_path: Path, planes: list[tuple[PlaneRecord, EncodedPlane]]
) -> None:
    store = SlowStore(tmp_path / "other")
    store.may_finish.set()
    store.refused.add(planes[1][1].stored.location)
    with WriteBehind(store) as writer:
        early = [done for plane in planes[:4] for done in writer.add(*plane)]
        with pytest.raises(StorageError, match="no space"):
            list(writer.rest())
    assert early == []
    for number, (_, encoded) in enumerate(planes[:4]):
        assert store.path(encoded.stored.location).exists() == (number != 1)


def test_large_planes_wait_for_each_other(
    tmp_path: Path,
    planes: list[tuple[PlaneRecord, EncodedPlane]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imextract.write_behind._MOST_BYTES", 10)
    store = FolderStore(tmp_path / "other")
    store.check()
    with WriteBehind(store) as writer:
        told = [len(list(writer.add(*plane))) for plane in planes[:3]]
        assert told == [0, 1, 1]
        assert len(list(writer.rest())) == 1
