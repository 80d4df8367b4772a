"""Simulated ImageXpress and CellVoyager plates are as Bio-Formats reads the vendor's.

It opens them through their metadata, and finds the same planes as we do from
the names and records of single files.
"""

from pathlib import Path

import imagecodecs
import pytest
import tifffile

from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader, inspect_file
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.simulation import PlaneKey, PlateLayout, read_stamp, simulate

LAYOUT = PlateLayout(wells=2, sites=2, channels=2, zplanes=3, tpoints=2, height=32, width=48)


@pytest.mark.parametrize(
    ("microscope", "entry", "format_name"),
    [
        ("imagexpress", "Simulated.HTD", "MetaXpress TIFF"),
        ("cellvoyager", "Simulated.wpi", "Yokogawa CV7000"),
    ],
)
def test_bioformats_finds_the_same_planes(
    tmp_path: Path, reader_settings: Settings, microscope: str, entry: str, format_name: str
) -> None:
    simulate(tmp_path, microscope, LAYOUT)

    manifest = build_manifest(tmp_path, ManifestOptions(), reader_settings)
    inspection = inspect_file(tmp_path / entry, reader_settings)

    assert manifest.microscope_type == microscope
    assert inspection.format_name == format_name
    sites = sorted(manifest.sites)
    channels = list(manifest.channels)
    ours = {
        (sites.index(row.site), row.zplane, channels.index(row.channel), row.tpoint): _stamp(
            tmp_path / str(row.source_file)
        )
        for row in manifest.rows()
    }
    theirs = {}
    with BioFormatsReader(tmp_path / entry, reader_settings) as reader:
        for series, structure in enumerate(inspection.structure):
            for plane in range(structure.plane_count):
                pixels = reader.read_plane(PlaneRef(series, plane))
                theirs[series, *structure.zct(plane)] = read_stamp(pixels)
    assert ours == theirs


def _stamp(path: Path) -> PlaneKey | None:
    return read_stamp(tifffile.imread(path))


def test_images_that_were_converted_are_found_under_their_new_suffix(
    tmp_path: Path, reader_settings: Settings
) -> None:
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=2, height=32, width=48)
    simulate(tmp_path, "cellvoyager", layout)
    for path in tmp_path.glob("Simulated*.tif"):
        path.with_suffix(".png").write_bytes(imagecodecs.png_encode(tifffile.imread(path)))
        path.unlink()

    manifest = build_manifest(tmp_path, ManifestOptions(), reader_settings)

    rows = list(manifest.rows())
    assert [row.zplane for row in rows] == [0, 1]
    for row in rows:
        source = row.source_file
        assert source is not None
        assert f"Z{row.zplane + 1:02d}C01.png" in source
        assert (row.height, row.width, row.dtype) == (32, 48, "uint16")
    assert "converted" in " ".join(problem.text for problem in manifest.problems)
