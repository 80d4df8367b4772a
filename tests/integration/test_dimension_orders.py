"""All orders of dimensions, from the folder to the pixels, against what pixels spell."""

import gzip
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from imextract.config import Settings
from imextract.planes import PlaneRef
from imextract.readers.bioformats import BioFormatsReader
from imextract.readers.tiff import TiffReader
from imextract.registration.build import ManifestOptions, build_manifest
from tests.support import fake_file, sha256, spelt

ORDERS = sorted("XY" + "".join(rest) for rest in permutations("ZCT"))


KINDS: dict[str, dict[str, Any]] = {
    "series": {"sizeC": 2, "series": 2},
    "plate": {"sizeC": 2, "plates": 1, "plateRows": 2, "plateCols": 2, "fields": 2, "plateAcqs": 1},
    "rgb": {"sizeC": 6, "rgb": 3},
    "pairs": {"sizeC": 6, "rgb": 2},
    "indexed": {"sizeC": 2, "indexed": "true"},
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_plane_is_what_its_pixels_spell(
    tmp_path: Path, reader_settings: Settings, kind: str, order: str
) -> None:
    path = fake_file(tmp_path, sizeZ=4, sizeT=3, dimOrder=order, **KINDS[kind])
    manifest = build_manifest(tmp_path, ManifestOptions(), reader_settings)
    rows = list(manifest.rows())
    channels, sites = list(manifest.channels), sorted(manifest.sites)
    seen = set()
    palettes: dict[int, dict[int, int]] = {}
    with BioFormatsReader(path, reader_settings) as reader:
        for row in rows:
            assert row.ref is not None
            found = spelt(reader.read_plane(row.ref))
            spelt_here = found.series, found.z, found.c, found.t
            meant = sites.index(row.site), row.zplane, channels.index(row.channel), row.tpoint
            if kind == "indexed":
                # Each channel has a palette of its own, in which a number has one place.
                palette = palettes.setdefault(meant[2], {})
                pairs = zip(meant, spelt_here, strict=True)
                assert spelt_here == tuple(palette.setdefault(*pair) for pair in pairs)
            else:
                assert spelt_here == meant
            seen.add(spelt_here)
    assert all(len(set(palette.values())) == len(palette) for palette in palettes.values())
    assert len(seen) == len(rows) == len(sites) * len(channels) * 4 * 3
    assert len(channels) == KINDS[kind]["sizeC"]


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
