"""Planes read both ways before a folder is registered."""

from dataclasses import replace
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers import registry
from imextract.readers.tiff import TiffReader
from imextract.registration.cross_check import cross_check
from imextract.registration.manifest import Manifest
from imextract.registration.register import RegistrationRequest, register_folder
from tests.experiments import settings_in
from tests.planes_of_files import manifest, planes, write


class WrongReader(TiffReader):
    """Reads one pixel wrongly, of one well."""

    def read_plane(self, ref: PlaneRef) -> PixelArray:
        pixels = super().read_plane(ref).copy()
        if "B02" in self._path.name:
            pixels[2, 3] += 1
        return pixels


@pytest.fixture
def made(tmp_path: Path) -> Manifest:
    folder = tmp_path / "plate"
    listed = list(planes())
    for plane in listed:
        write(folder, plane)
    return manifest(folder, listed)


def test_planes_that_are_read_alike_are_no_problem(
    made: Manifest, reader_settings: Settings
) -> None:
    assert cross_check(made, 5, reader_settings) == []


def test_a_plane_that_is_read_otherwise_is_named(
    made: Manifest, reader_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = "tifffile"
    monkeypatch.setitem(registry.READERS, reader, lambda path, _, seen, __: WrongReader(path, seen))
    problems = cross_check(made, 4, reader_settings)
    # The samples are spread over the acquisition, so that both wells are among them.
    assert [problem.severity for problem in problems] == ["error", "error"]
    assert problems[0].file is not None
    assert problems[0].file.startswith("B02")
    assert "1 pixels are others than Bio-Formats reads, the first at row 2, column 3" in (
        problems[0].text
    )
    assert "well B02" in problems[0].text
    assert cross_check(made, 0, reader_settings) == []


def test_a_difference_forbids_registering(
    made: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = "tifffile"
    monkeypatch.setitem(registry.READERS, reader, lambda path, _, seen, __: WrongReader(path, seen))
    request = RegistrationRequest(
        folder=made.folder, name="first", pattern=r"(?P<w>...)_s(?P<s>.)_c(?P<c>.)_z(?P<z>.)"
    )
    with pytest.raises(RegistrationError, match="others than Bio-Formats reads"):
        register_folder(request, settings_in(tmp_path))
    assert not (tmp_path / "ledger.db").exists()


def test_files_are_compared_out_of_sight_of_their_siblings(
    shared_data: Path, reader_settings: Settings
) -> None:
    # Opened where it lies, Bio-Formats takes such a file for the whole plate.
    folder = shared_data / "fmi-faim+faim-ipa" / "9987_Plate_3434"
    image = "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF"
    made = manifest(folder, [replace(next(planes()), path=image)])
    assert cross_check(made, 1, reader_settings) == []
