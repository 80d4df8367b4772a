"""CellVoyager plates: every recorded file is the plane that its pixels spell."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.build import ManifestOptions, build_manifest
from imextract.registration.files import find_files
from imextract.registration.manifest import Manifest, ManifestRow
from imextract.registration.microscopes import cellvoyager
from imextract.simulation import Faults, PlateLayout, read_stamp, simulate
from tests.support import noise, write_tiff

SETTINGS = Settings()
LAYOUT = PlateLayout(wells=2, sites=3, channels=2, zplanes=2, tpoints=2, height=48, width=64)
_NAME = re.compile(">([^<]*)</bts:MeasurementRecord>")


def read(folder: Path) -> Manifest:
    return build_manifest(folder, ManifestOptions(microscope="cellvoyager"), SETTINGS)


def present(manifest: Manifest) -> list[ManifestRow]:
    return [row for row in manifest.rows() if row.source_file is not None]


def texts(manifest: Manifest, severity: str) -> str:
    return "\n".join(p.text for p in manifest.problems if p.severity == severity)


def rewrite(folder: Path, edit: Callable[[str], str | None], layout: PlateLayout = LAYOUT) -> None:
    """Simulate a plate, and change or drop its records; files follow their names."""
    entry = simulate(folder, "cellvoyager", layout).entry
    lines = []
    for line in entry.read_text().splitlines():
        if (name := _NAME.search(line)) is None:
            lines.append(line)
        elif (edited := edit(line)) is not None:
            lines.append(edited)
            new_name = _NAME.search(edited)
            if new_name is not None and new_name[1] != name[1] and "/" not in new_name[1]:
                (folder / name[1]).rename(folder / new_name[1])
    entry.write_text("\n".join(lines))


def spelt(folder: Path, manifest: Manifest) -> list[tuple[object, ...]]:
    """Say what every plane is by the manifest, and check well and site by its pixels."""
    planes: list[tuple[object, ...]] = []
    for row in present(manifest):
        stamp = read_stamp(tifffile.imread(folder / str(row.source_file)))
        assert stamp is not None
        assert (stamp.well, stamp.site) == (row.site.well, row.site.site)
        planes.append((row.channel, row.tpoint, row.zplane, stamp.channel, stamp.tpoint))
    return planes


def test_every_plane_is_what_its_pixels_spell(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)

    manifest = build_manifest(tmp_path, ManifestOptions(), SETTINGS)

    names = list(manifest.channels)
    assert manifest.microscope_type == "cellvoyager"
    assert len(present(manifest)) == LAYOUT.plane_count
    for row in present(manifest):
        stamp = read_stamp(tifffile.imread(tmp_path / str(row.source_file)))
        assert stamp is not None
        told = (row.site.well, row.site.site, row.channel, row.tpoint, row.zplane)
        assert told == (stamp.well, stamp.site, names[stamp.channel], stamp.tpoint, stamp.zplane)
    assert not manifest.problems


def test_no_file_of_a_plate_is_left_over(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)
    found = find_files(tmp_path)

    (claim,) = cellvoyager.claim(found)

    assert claim.files == frozenset(found.files)
    assert any(path.startswith("SC_") for path in claim.files)


def test_failed_and_absent_planes_are_absent(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT, Faults(absent=2, errors=3, truncated=1))

    manifest = read(tmp_path)

    assert len(list(manifest.rows())) == LAYOUT.plane_count
    assert len(present(manifest)) == LAYOUT.plane_count - 5
    assert "is truncated" in texts(manifest, "warning")


def test_a_file_of_a_failed_record_is_not_believed(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(entry.read_text().replace('Type="IMG"', 'Type="ERR"', 1))

    assert len(present(read(tmp_path))) == LAYOUT.plane_count - 1


def test_a_failure_to_focus_on_a_field_makes_its_planes_absent(tmp_path: Path) -> None:
    """Such a record tells the field alone; the planes that were to follow have none."""

    def no_focus(line: str) -> str | None:
        if 'Column="2"' not in line or 'FieldIndex="2"' not in line:
            return line
        if 'ZIndex="1"' not in line or 'Ch="1"' not in line or 'TimePoint="1"' not in line:
            return None
        return (
            '<bts:MeasurementRecord bts:Type="ERR" bts:Column="2" bts:Row="2" '
            'bts:FieldIndex="2">Autofocus failed</bts:MeasurementRecord>'
        )

    simulate(tmp_path, "cellvoyager", LAYOUT)
    entry = tmp_path / "MeasurementData.mlf"
    kept = (no_focus(line) for line in entry.read_text().splitlines())
    entry.write_text("\n".join(line for line in kept if line is not None))

    rows = list(read(tmp_path).rows())

    absent = {(row.site.well, row.site.site) for row in rows if row.source_file is None}
    assert absent == {("B02", 1)}
    assert len(rows) == LAYOUT.plane_count
    assert sum(row.source_file is None for row in rows) == 8


def test_one_channel_number_under_two_actions_is_two_channels(tmp_path: Path) -> None:
    rewrite(
        tmp_path,
        lambda line: line.replace('bts:Ch="2"', 'bts:Ch="1"').replace("C02.tif", "C01.tif"),
    )

    manifest = read(tmp_path)

    assert list(manifest.channels) == ["HOECHST 33342_A01", "HOECHST 33342_A02"]
    assert {(name, c) for name, _, _, c, _ in spelt(tmp_path, manifest)} == {
        ("HOECHST 33342_A01", 0),
        ("HOECHST 33342_A02", 1),
    }
    assert not texts(manifest, "error")


def test_a_stack_and_its_projection_are_two_channels(tmp_path: Path) -> None:
    def projected(line: str) -> str:
        if 'Ch="2"' not in line:
            return line
        line = line.replace("bts:Ch=", 'bts:ZImageProcessing="MIP" bts:Ch=')
        return line.replace('bts:Ch="2"', 'bts:Ch="1"').replace(
            'ActionIndex="2"', 'ActionIndex="1"'
        )

    rewrite(tmp_path, projected)

    assert list(read(tmp_path).channels) == ["HOECHST 33342", "HOECHST 33342_MIP"]


@pytest.mark.parametrize("restarts", [False, True])
def test_time_lines_of_a_well_follow_each_other(tmp_path: Path, restarts: bool) -> None:
    def second_line(line: str) -> str:
        if 'TimePoint="2"' not in line:
            return line
        line = line.replace('TimelineIndex="1"', 'TimelineIndex="2"').replace("L01", "L02")
        return line.replace('TimePoint="2"', 'TimePoint="1"') if restarts else line

    rewrite(tmp_path, second_line)

    planes = spelt(tmp_path, read(tmp_path))

    assert len(planes) == LAYOUT.plane_count
    assert all(tpoint == true_tpoint for _, tpoint, _, _, true_tpoint in planes)


def test_a_well_that_a_later_time_line_begins_starts_at_zero(tmp_path: Path) -> None:
    """The microscope counts time points on from one time line to the next."""

    def by_well(line: str) -> str | None:
        is_first = 'Column="2"' in line
        if is_first != ('TimePoint="1"' in line):
            return None
        return line if is_first else line.replace('TimelineIndex="1"', 'TimelineIndex="2"')

    rewrite(tmp_path, by_well)

    assert {(row.site.well, row.tpoint) for row in read(tmp_path).rows()} == {
        ("B02", 0),
        ("B03", 0),
    }


def test_a_missing_time_point_leaves_a_gap(tmp_path: Path) -> None:
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=1, tpoints=3, height=32, width=32)
    rewrite(tmp_path, lambda line: None if 'TimePoint="2"' in line else line, layout)

    assert [row.tpoint for row in read(tmp_path).rows()] == [0, 2]


def test_images_without_a_record_are_named_and_left_out(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)
    write_tiff(tmp_path / "overlay.tif", noise(16, 16))

    manifest = read(tmp_path)

    assert len(present(manifest)) == LAYOUT.plane_count
    assert "has no record in" in texts(manifest, "warning")


def test_two_records_of_a_file_are_an_error(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    first, second = _NAME.findall(entry.read_text())[:2]
    entry.write_text(entry.read_text().replace(f">{second}<", f">{first}<"))

    assert "2 records of MeasurementData.mlf name this file" in texts(read(tmp_path), "error")


def test_a_plane_of_two_records_is_an_error(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT, Faults(duplicated=1))

    assert "the same as" in texts(read(tmp_path), "error")


@pytest.mark.parametrize("name", ["../secret.tif", "/etc/passwd", "C:\\x.tif", "http://a/b.tif"])
def test_a_name_that_leads_elsewhere_is_an_error(tmp_path: Path, name: str) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    first = _NAME.findall(entry.read_text())[0]
    entry.write_text(entry.read_text().replace(f">{first}<", f">{name}<"))

    assert "not followed" in texts(read(tmp_path), "error")


def test_images_in_a_folder_that_their_records_name_are_found(tmp_path: Path) -> None:
    rewrite(
        tmp_path,
        lambda line: _NAME.sub(lambda m: f">Image/{m[1]}</bts:MeasurementRecord>", line),
    )
    (tmp_path / "Image").mkdir()
    for path in tmp_path.glob("Simulated*.tif"):
        path.rename(tmp_path / "Image" / path.name)

    assert len(present(read(tmp_path))) == LAYOUT.plane_count


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            '<!DOCTYPE a [<!ENTITY b "bbb">]><MeasurementData>&b;</MeasurementData>',
            "document type or entities",
        ),
        ("<bts:MeasurementData", "no well-formed XML"),
        ("<MeasurementData></MeasurementData>", "no record of an image"),
    ],
)
def test_records_that_cannot_be_read_are_named(tmp_path: Path, content: str, said: str) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(content)

    with pytest.raises(RegistrationError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02" * 100], ids=["empty", "no text"])
def test_damaged_records_leave_nothing_to_guess_from_names(tmp_path: Path, content: bytes) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_bytes(content)

    said = r"MeasurementData.mlf: (line 1 is no well-formed|looks like .* but is empty)"
    with pytest.raises(RegistrationError, match=said):
        build_manifest(tmp_path, ManifestOptions(), Settings())


def test_records_in_utf_16_are_read(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    text = entry.read_text("utf-8-sig").replace("utf-8", "utf-16")
    entry.write_text(text, "utf-16")

    assert len(list(read(tmp_path).rows())) == LAYOUT.plane_count


@pytest.mark.parametrize("name", ["TimePoint", "ZIndex", "ActionIndex", "Ch", "FieldIndex", "Row"])
def test_a_record_with_words_for_numbers_is_refused(tmp_path: Path, name: str) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(re.sub(rf'{name}="1"|{name}="2"', f'{name}="2nd"', entry.read_text(), count=1))

    with pytest.raises(RegistrationError, match=f"{name} of image '.*' is '2nd'"):
        read(tmp_path)


@pytest.mark.parametrize("number", ["-1", "0", ""])
def test_a_record_without_a_sound_place_is_an_error(tmp_path: Path, number: str) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    text = re.sub('FieldIndex="1"', f'FieldIndex="{number}"', entry.read_text(), count=1)
    entry.write_text(text)

    assert "do not tell their well, field or channel" in texts(read(tmp_path), "error")


def test_a_well_outside_the_plate_is_an_error(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(entry.read_text().replace('bts:Row="2"', 'bts:Row="12"', 1))

    assert "L02 lies outside the plate of 8 x 12" in texts(read(tmp_path), "error")


def test_without_its_details_a_plate_is_read_all_the_same(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)
    (tmp_path / "MeasurementDetail.mrf").unlink()

    manifest = read(tmp_path)

    assert len(present(manifest)) == LAYOUT.plane_count
    assert "MeasurementDetail.mrf is missing" in texts(manifest, "warning")


def test_what_the_metadata_tell_is_kept(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)

    manifest = read(tmp_path)

    row = next(row for row in manifest.rows() if row.tpoint == 1 and row.zplane == 1)
    channel = manifest.channels["HOECHST 33342"]
    assert (channel.excitation_nm, channel.emission_nm) == (405, 445)
    assert row.pixel_size_x_um == pytest.approx(650 / 64, rel=1e-5)
    assert (row.pixel_size_z_um, row.exposure_ms, row.stage_z_um) == (3.0, 100.0, 3.0)
    assert row.time_stamp_s == pytest.approx(600.2)
    ((_, _, metadata),) = manifest.metadata_sets
    assert metadata.entry.path == "MeasurementData.mlf"
    assert {"MeasurementDetail.mrf", "Simulated.mes", "Simulated.wpi"} == {
        file.path for file in metadata.companions
    }
    # Y grows upwards on this stage: the first field is the upper left one.
    cells = [(info.y, info.x) for key, info in manifest.sites.items() if key.well == "B02"]
    assert cells == [(0, 0), (0, 1), (1, 0)]


def test_a_real_plate_is_read_as_its_files_are_named(shared_data: Path) -> None:
    manifest = read(shared_data / "fmi-faim+faim-ipa/CV8000")

    rows = list(manifest.rows())
    assert len(rows) == 3 * 4 * 2 * 4
    for row in rows:
        channel = list(manifest.channels).index(row.channel) + 1
        name = (
            f"_{row.site.well}_T0001F{row.site.site + 1:03d}L01A{channel:02d}"
            f"Z{row.zplane + 1:02d}C{channel:02d}.tif"
        )
        assert str(row.source_file).endswith(name)
        assert (row.height, row.width, row.dtype) == (2000, 2000, "uint16")
        assert (row.pixel_size_x_um, row.pixel_size_z_um, row.exposure_ms) == (0.325, 3.0, 100)
    assert {key.well for key in manifest.sites} == {"D08", "E03", "F08"}
    cells = [(info.y, info.x) for key, info in manifest.sites.items() if key.well == "D08"]
    assert cells == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert not manifest.problems


def test_a_version_that_is_not_known_is_named(tmp_path: Path) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(entry.read_text().replace('bts:Version="1.0"', 'bts:Version="3.0"'))

    assert "is of version '3.0'" in texts(read(tmp_path), "warning")


@pytest.mark.parametrize(
    ("told", "other"),
    [("Row", "3"), ("FieldIndex", "3"), ("ZIndex", "2"), ("Ch", "2"), ("TimePoint", "2")],
)
def test_a_file_that_is_named_as_another_plane_is_named(
    tmp_path: Path, told: str, other: str
) -> None:
    entry = simulate(tmp_path, "cellvoyager", LAYOUT).entry
    entry.write_text(
        re.sub(f'bts:{told}="[0-9]+"', f'bts:{told}="{other}"', entry.read_text(), count=1)
    )

    assert "1 files are named as other planes" in texts(read(tmp_path), "warning")


def test_files_of_other_formats_beside_the_records_are_left_to_others(tmp_path: Path) -> None:
    simulate(tmp_path, "cellvoyager", LAYOUT)
    for name in ("other.czi", "other.dv", "DC_other.bin"):
        (tmp_path / name).write_bytes(b"x")
    found = find_files(tmp_path)

    (claim,) = cellvoyager.claim(found)

    assert found.files.keys() - claim.files == {"other.czi", "other.dv"}
