"""Real files give the pixels that Bio-Formats itself gives, whoever reads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import inspect_file
from imextract.readers.registry import choose_reader, open_reader
from tests.support import sha256

_TRUTH = Path(__file__).resolve().parents[3] / "shared" / "data" / "planes.jsonl"
_ELSEWHERE = ("fmi-faim", "derived/")


def entries() -> list[dict[str, Any]]:
    if not _TRUTH.exists():
        return []
    told = [json.loads(line) for line in _TRUTH.read_text().splitlines()]
    return [entry for entry in told if not entry["entry"].startswith(_ELSEWHERE)]


@pytest.mark.skipif(not _TRUTH.exists(), reason=f"real microscope files are not at {_TRUTH.parent}")
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: Path(entry["entry"]).name)
def test_every_plane_of_a_real_file_is_right(
    entry: dict[str, Any], shared_data: Path, reader_settings: Settings
) -> None:
    path = shared_data / entry["entry"]
    inspection = inspect_file(path, reader_settings)
    assert inspection.format_name == entry["format"]
    assert path in inspection.used_files
    for name in {"bioformats", choose_reader(inspection, reader_settings)}:
        assert read_all(name, path, reader_settings) == expected(entry), name
    for index, series in enumerate(entry["series"]):
        structure = inspection.structure[index]
        for plane in series["planes"]:
            assert list(structure.zct(plane["i"])) == plane["zct"]


def expected(entry: dict[str, Any]) -> dict[PlaneRef, tuple[Any, ...]]:
    return {
        PlaneRef(index, plane["i"]): ((series["y"], series["x"]), series["dtype"], plane["sha256"])
        for index, series in enumerate(entry["series"])
        for plane in series["planes"]
    }


def read_all(name: str, path: Path, settings: Settings) -> dict[PlaneRef, tuple[Any, ...]]:
    found = {}
    with open_reader(name, path, settings) as reader:
        for index, series in enumerate(reader.structure):
            for number in range(series.plane_count):
                ref = PlaneRef(index, number)
                plane = reader.read_plane(ref)
                reader.prefetch(PlaneRef(index, number + 1))
                found[ref] = plane.shape, plane.dtype.name, sha256(plane)
    return found


def test_plain_tiffs_of_real_plates_are_given_to_tifffile(
    shared_data: Path, reader_settings: Settings
) -> None:
    chosen = [
        choose_reader(inspect_file(path, reader_settings), reader_settings)
        for path in (
            shared_data / "CellProfiler+CellProfiler/ExampleSBSImages/Channel1-01-A-01.tif",
            shared_data / "NEUBIAS+training-resources/xyzc_16bit__spots/xyzc_16bit__spots.tif",
            shared_data / "NEUBIAS+training-resources/xy_rgb__cells/xy_rgb__cells.tif",
        )
    ]
    assert chosen == ["tifffile"] * 3
