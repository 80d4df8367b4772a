"""What our own types say of a plate, Bio-Formats says too, each by its own reading."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.planes import PixelArray
from imextract.readers.registry import open_reader
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.manifest import Manifest, ManifestRow, SiteKey
from imextract.simulation import PlateLayout, simulate
from tests.truth import true_planes

LAYOUT = PlateLayout(wells=3, sites=5, channels=2, zplanes=3, tpoints=2, height=40, width=60)


def _both(folder: Path, settings: Settings) -> tuple[Manifest, Manifest]:
    ours = build_manifest(folder, ManifestOptions(), settings)
    theirs = build_manifest(folder, ManifestOptions(microscope="bioformats"), settings)
    assert (ours.microscope_type, theirs.microscope_type) != ("bioformats", "bioformats")
    return ours, theirs


def _key(row: ManifestRow) -> tuple[object, ...]:
    return row.site, row.channel, row.tpoint, row.zplane


def _pixels(manifest: Manifest, settings: Settings) -> dict[tuple[object, ...], str]:
    """Hash the pixels of every plane, read with the reader that the manifest chose."""
    readers = {data_set.entry.path: data_set.reader for data_set in manifest.data_sets}
    rows: dict[str, list[ManifestRow]] = {}
    for row in manifest.rows():
        rows.setdefault(str(row.source_file), []).append(row)
    hashes = {}
    for path, of_file in rows.items():
        with open_reader(readers[path], manifest.folder / path, settings) as reader:
            for row in of_file:
                assert row.ref is not None
                hashes[_key(row)] = _hash(reader.read_plane(row.ref))
    return hashes


def _hash(pixels: PixelArray) -> str:
    little = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False))
    return hashlib.sha256(little.tobytes()).hexdigest()


def _to_12_bits(folder: Path, sign: int = 0) -> None:
    """Let the planes of single TIFFs be as of a camera of 12 bits, and of a driver of ScanR."""
    for path in folder.rglob("*.tif"):
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            pixels, software = page.asarray() & 0xFFF | sign, page.software
        tifffile.imwrite(path, pixels, software=software, metadata=None)


@pytest.mark.parametrize("microscope", ["operetta", "incell", "scanr"])
def test_bioformats_finds_the_same_planes_with_the_same_pixels(
    tmp_path: Path, reader_settings: Settings, microscope: str
) -> None:
    simulate(tmp_path / "plate", microscope, LAYOUT)
    if microscope == "scanr":
        _to_12_bits(tmp_path / "plate")

    ours, theirs = _both(tmp_path, reader_settings)

    assert ours.microscope_type == microscope
    pixels = _pixels(ours, reader_settings)
    assert len(set(pixels.values())) == len(pixels) == LAYOUT.plane_count
    assert pixels == _pixels(theirs, reader_settings)
    assert list(ours.channels) == list(theirs.channels)


def test_a_sign_bit_that_bioformats_takes_from_scanr_pixels_does_not_count(
    tmp_path: Path, reader_settings: Settings
) -> None:
    simulate(tmp_path / "plate", "scanr", LAYOUT)
    _to_12_bits(tmp_path / "plate", sign=0x8000)
    _, theirs = _both(tmp_path, reader_settings)
    assert len(_pixels(theirs, reader_settings)) == LAYOUT.plane_count


def test_bioformats_is_not_believed_of_scanr_pixels_of_more_than_12_bits(
    tmp_path: Path, reader_settings: Settings
) -> None:
    simulate(tmp_path / "plate", "scanr", LAYOUT)
    _, theirs = _both(tmp_path, reader_settings)
    with pytest.raises(SourceFileError, match="but 12 bits: register with --microscope scanr"):
        _pixels(theirs, reader_settings)


@pytest.mark.parametrize("microscope", ["operetta", "incell", "scanr"])
def test_bioformats_tells_the_same_sizes(
    tmp_path: Path, reader_settings: Settings, microscope: str
) -> None:
    simulate(tmp_path / "plate", microscope, LAYOUT)

    ours, theirs = (
        {_key(row): (row.pixel_size_x_um, row.height, row.width, row.dtype) for row in one.rows()}
        for one in _both(tmp_path, reader_settings)
    )

    assert ours.keys() == theirs.keys()
    for key, (size_um, *shape) in ours.items():
        assert theirs[key][0] == pytest.approx(size_um)
        assert list(theirs[key][1:]) == shape


def test_the_real_plate_has_the_same_planes(shared_data: Path, reader_settings: Settings) -> None:
    ours, theirs = _both(shared_data / "leukemia-kispi+operetta-compose", reader_settings)

    assert _pixels(ours, reader_settings) == _pixels(theirs, reader_settings)
    assert ours.sites.keys() == theirs.sites.keys()
    assert list(ours.channels.values()) == list(theirs.channels.values())


@pytest.mark.parametrize(
    ("folder", "entry"),
    [
        ("leukemia-kispi+operetta-compose", "operetta_plate/Images/Index.idx.xml"),
        (
            "CellProfiler+examples/ExampleIlluminationCorrection",
            "images/--W00001--P00001--Z00000--T00000--cherry.tif",
        ),
    ],
)
def test_real_planes_have_the_pixels_that_are_known(
    shared_data: Path, reader_settings: Settings, folder: str, entry: str
) -> None:
    manifest = build_manifest(shared_data / folder, ManifestOptions(), reader_settings)

    truth = true_planes(shared_data, ())
    # One plane a series: the sites of the manifest, in their order.
    known = {key[1]: one.sha256 for key, one in truth.items() if key[0] == f"{folder}/{entry}"}
    found = {_site(key): sha256 for key, sha256 in _pixels(manifest, reader_settings).items()}
    assert known
    assert found == known


def _site(key: tuple[object, ...]) -> int:
    site = key[0]
    assert isinstance(site, SiteKey)
    return site.site


@pytest.mark.parametrize(
    "matrix",
    [
        "[[1.0072,0.003,0,-35.6],[0.0024,-1.0072,0,67.3],[0,0,1.33,-15.1]]",
        "[[-1,0,0,0],[0,-1,0,0],[0,0,1,0]]",
        "[[0,1,0,0],[1,0,0,0],[0,0,1,0]]",
    ],
)
def test_bioformats_lays_out_an_operetta_plate_as_we_do(
    tmp_path: Path, reader_settings: Settings, matrix: str
) -> None:
    layout = PlateLayout(wells=1, sites=6, channels=1, height=16, width=16)
    index = simulate(tmp_path, "operetta", layout).entry
    text = index.read_text("utf-8-sig")
    told = f"<OrientationMatrix>{matrix}</OrientationMatrix><PositionZ"
    index.write_text(text.replace("<PositionZ", told), "utf-8")

    ours, theirs = (
        build_manifest(tmp_path, ManifestOptions(microscope=name), reader_settings)
        for name in ("operetta", "bioformats")
    )

    assert _grid(theirs) == _grid(ours)


def _grid(manifest: Manifest) -> dict[int, tuple[int, int]]:
    return {key.site: (site.y, site.x) for key, site in manifest.sites.items()}
