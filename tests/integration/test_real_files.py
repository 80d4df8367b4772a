"""Files of real instruments, through the real deployment, to the very same pixels."""

import gzip
import shutil
from pathlib import Path

import pytest

from imextract.channel_image_file import ChannelImageFile
from imextract.planes import PlaneRef
from imextract.registration.register import RegistrationRequest, register_folder
from tests.deployed import Deployed
from tests.support import sha256
from tests.truth import TruePlane, true_planes

# These need microscope types of their own: Bio-Formats gets some of their planes wrong.
ELSEWHERE = ("fmi-faim", "derived/")
# A plate of one well, one plane a site: its planes are known by the index, whose series are
# the sites in their order, and extracted from the TIFF of each.
PLATE = "leukemia-kispi+operetta-compose/operetta_plate/Images"
INDEX = f"{PLATE}/Index.idx.xml"
# The same two planes, once more: a plate may be opened by any of its files.
OTHER_ENTRY = f"{PLATE}/r03c03f01p01-ch1sk1fk1fl1.tiff"


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All real files in one tree, as a facility's disk may look."""
    folder = tmp_path_factory.mktemp("real files")
    for source in shared_data.iterdir():
        if source.is_dir() and not f"{source.name}/".startswith(ELSEWHERE):
            shutil.copytree(source, folder / source.name)
    for packed in folder.rglob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


def test_every_plane_of_real_files_comes_out_as_it_is(
    deployed: Deployed, folder: Path, shared_data: Path
) -> None:
    request = RegistrationRequest(folder=folder, name="real files")
    experiment_id = register_folder(request, deployed.settings).experiment_id
    assert experiment_id is not None
    run = deployed.prefect.run_deployment(
        "imextract/default", experiment_id=experiment_id, workers=2, batch_size=20
    )
    assert run["state_type"] == "COMPLETED", run["state"]
    truth = true_planes(shared_data, (*ELSEWHERE, OTHER_ENTRY))
    found = {
        place(plane, folder): as_true(plane)
        for plane in ChannelImageFile.find(experiment_id, deployed.settings)
        if place(plane, folder) in truth
    }
    assert found.keys() == truth.keys()
    for key, expected in truth.items():
        zct_is_kept = (found[key].zplane, found[key].tpoint) == (expected.zplane, expected.tpoint)
        assert zct_is_kept, key
        assert found[key].sha256 == expected.sha256, key
        assert (found[key].shape, found[key].dtype) == (expected.shape, expected.dtype), key


def place(plane: ChannelImageFile, folder: Path) -> tuple[str, int, int]:
    (source,) = plane.record.sources
    entry = source.source_file.relative_to(folder).as_posix()
    if entry.startswith(f"{PLATE}/"):
        assert (plane.record.well, source.ref) == ("C03", PlaneRef(0, 0))
        return INDEX, plane.record.site, 0
    return entry, source.ref.series, source.ref.plane


def as_true(plane: ChannelImageFile) -> TruePlane:
    pixels = plane.get()
    record = plane.record
    shape = (pixels.shape[0], pixels.shape[1])
    return TruePlane(record.zplane, 0, record.tpoint, sha256(pixels), shape, pixels.dtype.name)
