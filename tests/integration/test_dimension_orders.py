"""All orders of dimensions, from the folder to the pixels, against what pixels spell."""

import gzip
from itertools import permutations
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.tiff import TiffReader
from imextract.registration.build import ManifestOptions, build_manifest
from tests.support import fake_file, sha256, spelt

ORDERS = sorted("XY" + "".join(rest) for rest in permutations("ZCT"))


@pytest.mark.parametrize("order", ORDERS)
def test_every_plane_is_what_its_pixels_spell(
    tmp_path: Path, reader_settings: Settings, order: str
) -> None:
    path = fake_file(tmp_path, sizeZ=4, sizeC=2, sizeT=3, dimOrder=order, series=2)
    rows = list(build_manifest(tmp_path, ManifestOptions(), reader_settings).rows())
    seen = set()
    with BioFormatsReader(path, reader_settings) as reader:
        for row in rows:
            assert row.ref is not None
            found = spelt(reader.read_plane(row.ref))
            channel = int(row.channel.removeprefix("channel_"))
            assert (found.series, found.z, found.c, found.t) == (
                row.site.site,
                row.zplane,
                channel,
                row.tpoint,
            )
            seen.add((found.series, found.z, found.c, found.t))
    assert len(seen) == len(rows) == 2 * 4 * 2 * 3


def test_real_stacks_of_micromanager_have_the_pixels_that_bioformats_reads(
    shared_data: Path, tmp_path: Path, reader_settings: Settings
) -> None:
    packed = shared_data / "micro-manager+micro-manager" / "VersionCompatTest"
    for file in packed.glob("*.gz"):
        (tmp_path / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    manifest = build_manifest(tmp_path, ManifestOptions(), reader_settings)
    assert manifest.microscope_type == "micromanager"
    entry = tmp_path / "1.4compatTest_3_MMStack_1-Pos_000_000.ome.tif"
    with BioFormatsReader(entry, reader_settings) as reader:
        truth = {
            (series, *structure.zct(plane)): sha256(reader.read_plane(PlaneRef(series, plane)))
            for series, structure in enumerate(reader.structure)
            for plane in range(structure.plane_count)
        }
    found = {}
    for row in manifest.rows():
        assert row.source_file is not None
        assert row.ref is not None
        channel = ("Cy5", "DAPI").index(row.channel)
        with TiffReader(tmp_path / row.source_file) as ours:
            key = row.site.site, row.zplane, channel, row.tpoint
            found[key] = sha256(ours.read_plane(row.ref))
    assert found == truth
    # The demo camera repeats itself.
    assert len(set(truth.values())) == 8
