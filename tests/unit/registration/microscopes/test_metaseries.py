"""Descriptions of MetaMorph's TIFFs are read; what is odd in them tells nothing."""

from pathlib import Path

import pytest

from imextract.registration.microscopes.metaseries import (
    Metaseries,
    parse_metaseries,
    read_metaseries,
)
from tests.support import noise, write_tiff


def described(**properties: str) -> Metaseries:
    """Read a description of properties, whose names have "_" in place of "-"."""
    lines = (
        f'<prop id="{name.replace("_", "-")}" type="float" value="{value}"/>'
        for name, value in properties.items()
    )
    return parse_metaseries("<PlaneInfo>" + "".join(lines))


def test_a_real_description_is_read(shared_data: Path) -> None:
    folder = shared_data / "fmi-faim+faim-ipa/9987_Plate_3434/TimePoint_1/ZStep_1"

    told = read_metaseries(folder / "9987_B02_s2_w1.TIF")

    assert (told.illumination, told.wavelength_nm, told.exposure_ms) == ("DAPI", 452, 100)
    assert (told.pixel_size_x_um, told.pixel_size_y_um) == (1.3672, 1.3672)
    assert (told.stage_x_um, told.stage_y_um, told.stage_z_um) == (23300, 19885, 9989.22)
    assert not told.is_projection


@pytest.mark.parametrize(("step", "is_projection"), [(0, True), (1, False), (2, False)])
def test_a_real_projection_is_told_from_its_planes(
    shared_data: Path, step: int, is_projection: bool
) -> None:
    folder = shared_data / f"fmi-faim+faim-ipa/9987_Plate_3434/TimePoint_1/ZStep_{step}"

    assert read_metaseries(folder / "9987_B02_s1_w1.TIF").is_projection is is_projection


@pytest.mark.parametrize(
    ("unit", "state", "size"), [("mm", "on", 2000), ("um", "off", None), ("pixel", "on", None)]
)
def test_a_calibration_has_a_unit_and_can_be_off(unit: str, state: str, size: float | None) -> None:
    told = described(
        spatial_calibration_x="2",
        spatial_calibration_units=unit,
        spatial_calibration_state=state,
    )

    assert told.pixel_size_x_um == size


@pytest.mark.parametrize("value", ["", "nan", "inf", "-1", "0", "x"])
def test_an_odd_number_tells_nothing(value: str) -> None:
    told = described(wavelength=value, spatial_calibration_x=value)

    assert (told.wavelength_nm, told.pixel_size_x_um) == (None, None)


@pytest.mark.parametrize("text", ["", "yesterday", "99999999 99:99:99", "20240709"])
def test_an_odd_time_is_none_or_a_day(text: str) -> None:
    told = described(acquisition_time_local=text)

    assert told.time_s is None or told.time_s % 86400 == 0


@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x04\0\0\0\2"])
def test_what_is_no_tiff_tells_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)

    assert read_metaseries(path) == Metaseries()


def test_a_tiff_of_another_program_tells_nothing(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", noise(8, 8), description="somebody else's")

    assert read_metaseries(path) == Metaseries()
