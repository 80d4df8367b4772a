"""Every fault that a simulated plate can have is told by its registration, of every type."""

from pathlib import Path

import pytest

from imextract.errors import ConfigError
from imextract.simulation import Faults, PlateLayout, simulate
from imextract.simulation.registry import MICROSCOPES
from tests.spelt_plates import errors, manifest_of, warnings

PLATE = PlateLayout(wells=1, sites=2, channels=2, zplanes=2, tpoints=1, height=24, width=32)
# What the files of a vendor can show.
WITH_THUMBNAILS = {"imagexpress", "incell", "metamorph", "visiview"}
WITH_ERRORS = {"cellvoyager", "operetta"}


@pytest.mark.parametrize("name", sorted(MICROSCOPES))
def test_an_absent_plane_is_registered_as_absent(tmp_path: Path, name: str) -> None:
    simulate(tmp_path, name, PLATE, Faults(absent=1))
    manifest = manifest_of(tmp_path)
    assert sum(row.source_file is None for row in manifest.rows()) > 0
    assert len(list(manifest.rows())) == PLATE.plane_count
    assert any("absent" in text for text in warnings(manifest))
    assert errors(manifest) == []


@pytest.mark.parametrize("name", sorted(MICROSCOPES))
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    simulate(tmp_path, name, PLATE, Faults(truncated=1))
    assert any("truncated" in text for text in warnings(manifest_of(tmp_path)))


@pytest.mark.parametrize("name", sorted(MICROSCOPES))
def test_a_doubled_plane_is_an_error(tmp_path: Path, name: str) -> None:
    simulate(tmp_path, name, PLATE, Faults(duplicated=1))
    assert any("the same as of" in text for text in errors(manifest_of(tmp_path)))


@pytest.mark.parametrize("name", sorted(MICROSCOPES))
def test_thumbnails_are_no_planes(tmp_path: Path, name: str) -> None:
    if name not in WITH_THUMBNAILS:
        with pytest.raises(ConfigError, match="cannot be simulated with thumbnails"):
            simulate(tmp_path, name, PLATE, Faults(thumbnails=True))
        return
    simulate(tmp_path, name, PLATE, Faults(thumbnails=True))
    manifest = manifest_of(tmp_path)
    assert len(list(manifest.rows())) == PLATE.plane_count
    assert {(row.height, row.width) for row in manifest.rows()} == {(24, 32)}


@pytest.mark.parametrize("name", sorted(MICROSCOPES))
def test_a_recorded_failure_is_an_absent_plane(tmp_path: Path, name: str) -> None:
    if name not in WITH_ERRORS:
        with pytest.raises(ConfigError, match="cannot be simulated with errors"):
            simulate(tmp_path, name, PLATE, Faults(errors=1))
        return
    simulate(tmp_path, name, PLATE, Faults(errors=1))
    manifest = manifest_of(tmp_path)
    assert sum(row.source_file is None for row in manifest.rows()) == 1
