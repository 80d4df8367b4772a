"""ImageXpress plates: every file is the plane that its pixels spell."""

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imextract.config import Settings
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.files import find_files
from imextract.registration.manifest import Manifest, ManifestRow, SiteKey
from imextract.registration.microscopes import imagexpress
from imextract.registration.microscopes.imagexpress_names import parse_image_path
from imextract.simulation import Faults, PlateLayout, read_stamp, simulate
from tests.support import noise
from tests.truth import true_planes

GUID = "D5F8F51A-3E85-4358-AE51-A465AF87386F"
DIGITS_FIRST = "401562CF-BD52-4C90-A944-83185F26B372"
SETTINGS = Settings()
LAYOUT = PlateLayout(
    wells=2, sites=3, channels=2, zplanes=3, tpoints=2, height=48, width=64, plate="Plate 1"
)


def read(folder: Path, options: ManifestOptions | None = None) -> Manifest:
    return build_manifest(folder, options or ManifestOptions(), SETTINGS)


def present(manifest: Manifest) -> list[ManifestRow]:
    return [row for row in manifest.rows() if row.source_file is not None]


def errors(manifest: Manifest) -> list[str]:
    return [problem.text for problem in manifest.problems if problem.severity == "error"]


def warnings(manifest: Manifest) -> str:
    return "\n".join(one.text for one in manifest.problems if one.severity == "warning")


def assert_spelt(folder: Path, manifest: Manifest) -> int:
    """Check every plane that can be read against its pixels; give their number."""
    names = list(manifest.channels)
    rows = present(manifest)
    for row in rows:
        stamp = read_stamp(tifffile.imread(folder / str(row.source_file)))
        assert stamp is not None, row.source_file
        spelt = (stamp.well, stamp.site, names[stamp.channel], stamp.tpoint, stamp.zplane)
        assert spelt == (row.site.well, row.site.site, row.channel, row.tpoint, row.zplane)
    return len(rows)


def write_guid_plate(folder: Path, layout: PlateLayout) -> None:
    """Rename a simulated plate as MetaXpress' database keeps it: GUIDs, no HTD."""
    simulate(folder, "imagexpress", layout)
    for htd in folder.rglob("*.HTD"):
        htd.unlink()
    for number, path in enumerate(sorted(folder.rglob("*.TIF"))):
        path.rename(path.with_name(f"{path.stem}{number:08X}{GUID[8:]}.tif"))


@pytest.mark.parametrize(
    "name",
    [
        f"a_B02_C03_s2_w1{DIGITS_FIRST}.tif",
        "a_B02_C03_s2_w1.TIF",
        f"a_B02_C3_s02_w1{GUID}.TIF",
    ],
)
def test_names_are_read_from_their_end(name: str) -> None:
    image = parse_image_path(f"there/TimePoint_3/ZStep_12/{name}")

    assert image is not None
    assert (image.root, image.plate, image.well) == ("there", "a_B02", "C03")
    assert (image.site, image.wave, image.tpoint, image.zstep) == (2, 1, 3, 12)


@pytest.mark.parametrize("name", ["notes.tif", "a_ZZ99_s1_w1.TIF", "a_A00.tif", "a_A01_s1_w1.png"])
def test_other_names_are_left_to_others(name: str) -> None:
    assert parse_image_path(name) is None


@pytest.mark.parametrize("zplanes", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sites", [1, 3])
def test_every_plane_is_what_its_pixels_spell(
    tmp_path: Path, sites: int, channels: int, zplanes: int
) -> None:
    layout = PlateLayout(
        wells=2, sites=sites, channels=channels, zplanes=zplanes, tpoints=2, height=48, width=64
    )
    simulate(tmp_path, "imagexpress", layout, Faults(thumbnails=True))

    manifest = read(tmp_path)

    assert manifest.microscope_type == "imagexpress"
    assert assert_spelt(tmp_path, manifest) == layout.plane_count
    assert len(list(manifest.rows())) == layout.plane_count
    assert not errors(manifest)


def test_no_file_of_a_plate_is_left_over(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT, Faults(thumbnails=True))
    found = find_files(tmp_path)

    (claim,) = imagexpress.claim(found)

    assert claim.files == frozenset(found.files)
    assert (claim.root, claim.entry) == ("", "Plate 1.HTD")


def test_a_plate_of_guid_names_is_read_without_an_htd(tmp_path: Path) -> None:
    write_guid_plate(tmp_path, LAYOUT)

    manifest = read(tmp_path)

    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count
    assert list(manifest.channels) == ["HOECHST 33342", "Alexa 488"]
    assert not errors(manifest)
    # Sites by their stage positions: two beside each other, the third below.
    cells = [(info.y, info.x) for key, info in manifest.sites.items() if key.well == "B02"]
    assert cells == [(0, 0), (0, 1), (1, 0)]


def test_plates_without_an_htd_are_named_by_their_folders(tmp_path: Path) -> None:
    """All images of a screen may begin alike, whatever plate they are of."""
    layout = PlateLayout(plate="Screen", height=32, width=32)
    for folder in ("20585", "20586"):
        write_guid_plate(tmp_path / folder, layout)

    manifest = read(tmp_path)

    assert {key.plate for key in manifest.sites} == {"20585", "20586"}
    assert assert_spelt(tmp_path, manifest) == 2 * layout.plane_count


def test_a_plate_that_a_database_keeps_below_date_and_number_keeps_its_name(
    tmp_path: Path,
) -> None:
    layout = PlateLayout(plate="P1", height=32, width=32)
    for number in ("7", "8"):
        write_guid_plate(tmp_path / "P1" / "2024-04-22" / number, layout)

    manifest = read(tmp_path)

    assert {key.plate for key in manifest.sites} == {"P1"}
    assert {row.acquisition for row in manifest.rows()} == {"2024-04-22_7", "2024-04-22_8"}
    assert not errors(manifest)


def test_the_projection_of_a_stack_is_no_plane_wherever_it_lies(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)
    for folder in tmp_path.rglob("ZStep_0"):
        for path in folder.glob("*.TIF"):
            path.rename(folder.parent / path.name)

    manifest = read(tmp_path)

    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count
    assert "24 projections of z-stacks" in warnings(manifest)


def test_a_wave_that_lies_beside_the_stacks_of_others_has_one_plane(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)
    for path in tmp_path.rglob("*_w2.TIF"):
        if path.parent.name == "ZStep_1":
            path.rename(path.parent.parent / path.name)
        else:
            path.unlink()

    manifest = read(tmp_path)

    planes = Counter((row.channel, row.zplane) for row in manifest.rows())
    assert planes["Alexa 488", 0] == 12
    assert planes["Alexa 488", 1] == 0
    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count * 2 // 3


def test_a_declared_plane_that_is_not_there_is_absent(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT, Faults(absent=5))

    rows = list(read(tmp_path).rows())

    assert len(rows) == LAYOUT.plane_count
    assert sum(row.source_file is None for row in rows) == 5


def test_a_truncated_file_is_planned_and_named(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT, Faults(truncated=1))

    manifest = read(tmp_path)

    assert len(present(manifest)) == LAYOUT.plane_count
    assert "is truncated" in warnings(manifest)


def test_a_plane_that_is_there_twice_forbids_registering(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT, Faults(duplicated=1))

    assert any("the same as" in text for text in errors(read(tmp_path)))


def test_the_name_of_the_plate_can_be_given(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)

    manifest = read(tmp_path, ManifestOptions(plate="P"))

    assert {row.site.plate for row in manifest.rows()} == {"P"}
    assert manifest.sites[SiteKey("P", "B02", 2)].y == 1


def test_two_plates_in_one_tree_are_two(tmp_path: Path) -> None:
    one, other = (PlateLayout(plate=name, height=32, width=32) for name in ("one", "other"))
    simulate(tmp_path / "a", "imagexpress", one)
    simulate(tmp_path / "b", "imagexpress", other)

    manifest = read(tmp_path)

    assert {key.plate for key in manifest.sites} == {"one", "other"}
    assert assert_spelt(tmp_path, manifest) == one.plane_count + other.plane_count


def test_only_inner_copies_of_the_htd_do_as_well(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "imagexpress", LAYOUT).entry
    entry.unlink()

    assert assert_spelt(tmp_path, read(tmp_path)) == LAYOUT.plane_count


def test_a_renamed_htd_still_is_that_of_the_images_beside(tmp_path: Path) -> None:
    for path in simulate(tmp_path, "imagexpress", LAYOUT).folder.rglob("*.HTD"):
        path.rename(path.with_name("Renamed.HTD"))

    manifest = read(tmp_path)

    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count
    assert {key.plate for key in manifest.sites} == {"Renamed"}


def test_a_copy_of_the_htd_that_differs_is_named(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)
    copy = tmp_path / "TimePoint_1" / "Plate 1.HTD"
    copy.write_text(copy.read_text().replace('"TimePoints", 2', '"TimePoints", 9'))

    manifest = read(tmp_path)

    assert len(list(manifest.rows())) == LAYOUT.plane_count
    assert "differs from Plate 1.HTD" in warnings(manifest)


def test_images_that_the_htd_does_not_declare_are_registered_and_named(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "imagexpress", LAYOUT).entry
    text = entry.read_text().replace('"TimePoints", 2', '"TimePoints", 1')
    for path in tmp_path.rglob("*.HTD"):
        path.write_text(text)

    manifest = read(tmp_path)

    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count
    assert "of a tpoint that Plate 1.HTD does not declare" in warnings(manifest)


def test_a_well_outside_the_plate_forbids_registering(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)
    shutil.copy(
        tmp_path / "TimePoint_1/ZStep_1/Plate 1_B02_s1_w1.TIF",
        tmp_path / "TimePoint_1/ZStep_1/Plate 1_P24_s1_w1.TIF",
    )

    assert any("P24 lies outside the plate of 8 x 12" in text for text in errors(read(tmp_path)))


def test_a_damaged_htd_is_an_error_and_no_guess(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "imagexpress", PlateLayout(height=32, width=32)).entry
    entry.write_bytes(b"damaged")
    shutil.copytree(tmp_path, tmp_path / "other")
    simulate(tmp_path / "sound", "imagexpress", PlateLayout(plate="S", height=32, width=32))

    manifest = read(tmp_path)

    assert {key.plate for key in manifest.sites} == {"S"}
    assert sum("HTSInfoFile" in text for text in errors(manifest)) == 2


def test_a_plan_of_far_more_planes_than_images_is_refused(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "imagexpress", PlateLayout(height=32, width=32)).entry
    entry.write_text(entry.read_text().replace('"TimePoints", 1', '"TimePoints", 100000'))
    simulate(tmp_path / "sound", "imagexpress", PlateLayout(plate="S", height=32, width=32))

    assert any("correct the HTD" in text for text in errors(read(tmp_path)))


def test_what_the_files_tell_is_kept(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", LAYOUT)

    manifest = read(tmp_path)

    row = next(row for row in manifest.rows() if row.tpoint == 1 and row.zplane == 1)
    assert row.pixel_size_x_um == pytest.approx(700 / 64, rel=1e-5)
    assert (row.pixel_size_z_um, row.exposure_ms, row.stage_z_um) == (2.0, 100.0, 9002.0)
    assert row.time_stamp_s == pytest.approx(600.4)
    assert manifest.channels["HOECHST 33342"].emission_nm == 452
    assert manifest.data_sets[0].reader == "tifffile"
    ((_, _, metadata),) = manifest.metadata_sets
    assert metadata.metadata_text is not None
    assert "HTSInfoFile" in metadata.metadata_text


@pytest.mark.parametrize(
    ("folder", "absent"),
    [
        ("fmi-faim+faim-ipa/9987_Plate_3434", 24),
        ("derived/ImageXpress_9987_Plate_3434_edited", 0),
    ],
)
def test_every_plane_of_a_real_plate_has_its_pixels(
    shared_data: Path, folder: str, absent: int
) -> None:
    """The HTD of one declares more than there is, and Bio-Formats mixes up its sites.

    The other has the same images and an HTD that was corrected: so its
    reading is the truth of both.
    """
    entry = "derived/ImageXpress_9987_Plate_3434_edited/9987.HTD"
    truth = {
        (series, plane.channel, plane.zplane): plane.sha256
        for (name, series, _), plane in true_planes(shared_data, ()).items()
        if name == entry
    }

    manifest = read(shared_data / folder)

    series = {key: index for index, key in enumerate(sorted(manifest.sites))}
    channels = {name: index for index, name in enumerate(manifest.channels)}
    seen = {
        (series[row.site], channels[row.channel], row.zplane): _sha256(shared_data / folder, row)
        for row in present(manifest)
    }
    assert seen == truth
    assert len(list(manifest.rows())) == len(truth) + absent
    assert not errors(manifest)


def _sha256(folder: Path, row: ManifestRow) -> str:
    pixels = tifffile.imread(folder / str(row.source_file))
    return hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()


def test_a_real_export_without_an_htd_is_read_by_its_names(shared_data: Path) -> None:
    manifest = read(shared_data / "fmi-faim+faim-ipa/ImageXpress")

    rows = present(manifest)
    places = {(r.site.well, r.site.site, r.channel, r.tpoint, r.zplane) for r in rows}
    assert places == {
        ("C07", site, channel, tpoint, 0)
        for site in (0, 1)
        for channel in ("FITC", "Cy3", "Texas Red")
        for tpoint in (0, 1)
    }
    for row in rows:
        wave = list(manifest.channels).index(row.channel) + 1
        path = str(row.source_file)
        assert f"TimePoint_{row.tpoint + 1}/" in path
        assert f"_s{row.site.site + 1}_w{wave}" in path
    assert [(info.y, info.x) for info in manifest.sites.values()] == [(0, 0), (1, 0)]


def test_the_grid_of_sites_is_that_of_the_htd(tmp_path: Path) -> None:
    """Also where the images tell no stage position, and the user names the plate."""
    entry = simulate(tmp_path, "imagexpress", LAYOUT).entry
    text = entry.read_text()
    text = text.replace('"SiteSelection1", TRUE, TRUE', '"SiteSelection1", FALSE, TRUE')
    text = text.replace('"SiteSelection2", TRUE, FALSE', '"SiteSelection2", TRUE, TRUE')
    for path in tmp_path.rglob("*.HTD"):
        path.write_text(text)
    for path in tmp_path.rglob("*.TIF"):
        tifffile.imwrite(path, tifffile.imread(path), metadata=None)

    for options in (ManifestOptions(), ManifestOptions(plate="P")):
        sites = read(tmp_path, options).sites
        cells = [(info.y, info.x) for key, info in sites.items() if key.well == "B02"]
        assert cells == [(0, 1), (1, 0), (1, 1)]


def test_a_version_that_is_not_known_is_named(tmp_path: Path) -> None:
    simulate(tmp_path, "imagexpress", PlateLayout(height=32, width=32))
    for path in tmp_path.rglob("*.HTD"):
        path.write_text(path.read_text().replace("Version 1.0", "Version 2.5"))

    assert "'Version 2.5'" in warnings(read(tmp_path))


def test_names_alone_do_not_claim_files_of_several_pages(tmp_path: Path) -> None:
    image = tmp_path / "TimePoint_1" / "foo_A01_s1_w1.tif"
    image.parent.mkdir()
    pages = np.stack([noise(16, 16, seed=one) for one in range(3)])
    tifffile.imwrite(image, pages, photometric="minisblack")
    found = find_files(tmp_path)

    assert imagexpress.claim(found) == []
    assert "holds 3 planes" in found.problems[0].text


def test_an_htd_above_the_folder_of_its_images_is_theirs(tmp_path: Path) -> None:
    simulate(tmp_path / "Images", "imagexpress", LAYOUT)
    for htd in sorted((tmp_path / "Images").rglob("*.HTD")):
        htd.rename(tmp_path / htd.name)

    manifest = read(tmp_path)

    assert assert_spelt(tmp_path, manifest) == LAYOUT.plane_count
    assert not errors(manifest)
    assert {key.plate for key in manifest.sites} == {LAYOUT.plate}


def test_an_htd_above_two_plates_of_its_name_says_where_images_belong(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(tmp_path / name, "imagexpress", LAYOUT)
        for htd in sorted((tmp_path / name).rglob("*.HTD")):
            htd.rename(tmp_path / htd.name)

    manifest = read(tmp_path)

    (text,) = errors(manifest)
    assert f"expected {LAYOUT.plate}_A01_s1_w1.TIF and the like" in text
    assert "TimePoint_n and ZStep_n folders there" in text
