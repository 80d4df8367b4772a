"""Metadata that lie, lead elsewhere or do harm: told by name, whatever type wrote them."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tifffile

from imextract.errors import RegistrationError
from imextract.simulation.faults import FaultyPlanes
from imextract.simulation.layout import PlateLayout
from imextract.simulation.registry import simulate
from tests.simulated import check_planes
from tests.spelt_plates import errors, manifest_of, warnings
from tests.support import write_tiff

PLATE = PlateLayout(wells=1, sites=2, channels=2, zplanes=1, tpoints=1, height=24, width=32)
XML_TYPES = ("cellvoyager", "incell", "ometiff", "operetta", "scanr")
TEXT_TYPES = ("imagexpress", "metamorph", "micromanager", "visiview")
BOMB = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
Change = Callable[[str], bytes]


def after_prolog(text: str, inserted: str) -> bytes:
    end = text.index("?>") + 2 if text.startswith("<?") else 0
    return (text[:end] + inserted + text[end:]).encode()


def in_the_middle(text: str, inserted: str) -> bytes:
    at = text.index(">", len(text) // 2) + 1
    return (text[:at] + inserted + text[at:]).encode()


def encoded(text: str, encoding: str) -> bytes:
    return re.sub('encoding="[^"]*"', f'encoding="{encoding}"', text, count=1).encode(encoding)


HOSTILE: dict[str, Change] = {
    "entity bomb": lambda text: after_prolog(text, f'<!DOCTYPE a [<!ENTITY a0 "a">{BOMB}]>'),
    "file entity": lambda text: after_prolog(
        text, '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    ),
    "outer document type": lambda text: after_prolog(text, '<!DOCTYPE a SYSTEM "http://h/a.dtd">'),
    "never closed": lambda text: in_the_middle(text, "<a>" * 50_000),
    "cut short": lambda text: text[: len(text) // 2].encode(),
    "empty": lambda _: b"",
    "no text": lambda _: bytes(range(256)) * 20,
}
HARMLESS: dict[str, Change] = {
    "byte order mark": lambda text: encoded(text, "utf-8-sig").replace(b"utf-8-sig", b"utf-8", 1),
    "UTF-16": lambda text: encoded(text, "utf-16"),
    "deep": lambda text: in_the_middle(text, "<a>" * 50_000 + "</a>" * 50_000),
}


def simulated(folder: Path, name: str) -> tuple[Path, str]:
    """Simulate a plate; give its entry and the text of that, as UTF-8."""
    entry = simulate(folder, name, PLATE).entry
    content = entry.read_bytes()
    declared = re.search(rb'encoding="([^"]*)"', content[:200])
    text = content.decode(declared[1].decode() if declared else "utf-8")
    return entry, re.sub('encoding="[^"]*"', 'encoding="utf-8"', text.lstrip("\ufeff"), count=1)


def told(folder: Path, **options: object) -> str:
    """Give the errors of a folder, raised or listed."""
    try:
        return "\n".join(errors(manifest_of(folder, **options)))
    except RegistrationError as error:
        return error.message


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("name", XML_TYPES)
def test_hostile_xml_is_one_error_by_name(tmp_path: Path, name: str, case: str) -> None:
    entry, text = simulated(tmp_path, name)
    entry.write_bytes(HOSTILE[case](text))
    begin = time.process_time()
    error = told(tmp_path)
    assert time.process_time() - begin < 5
    assert name in error
    assert len(error.splitlines()) == 1
    assert len(error) < 1000
    told_as = ("document type or entities", "well-formed", "be read", "but is empty")
    assert any(words in error for words in told_as)


@pytest.mark.parametrize("case", HARMLESS)
@pytest.mark.parametrize("name", XML_TYPES)
def test_unusual_but_sound_xml_is_read(tmp_path: Path, name: str, case: str) -> None:
    entry, text = simulated(tmp_path, name)
    entry.write_bytes(HARMLESS[case](text))
    manifest = manifest_of(tmp_path)
    assert errors(manifest) == []
    check_planes(manifest, PLATE, list(manifest.channels), FaultyPlanes())


@pytest.mark.parametrize("name", XML_TYPES)
def test_characters_that_xml_forbids_are_an_error_or_left_out(tmp_path: Path, name: str) -> None:
    entry, text = simulated(tmp_path, name)
    entry.write_bytes(in_the_middle(text, "&#0;"))
    if name == "ometiff":
        # Vendors' own words end up in OME-XML, so that these are frequent there.
        manifest = manifest_of(tmp_path)
        check_planes(manifest, PLATE, list(manifest.channels), FaultyPlanes())
    else:
        assert "invalid character number" in told(tmp_path)


@pytest.mark.parametrize("case", ["entity bomb", "file entity", "outer document type"])
def test_entities_in_the_comment_of_a_tiff_are_never_followed(tmp_path: Path, case: str) -> None:
    _, text = simulated(tmp_path / "plate", "ometiff")
    comment = HOSTILE[case](text)
    tiff = min((tmp_path / "plate").glob("*.tif"))
    alone = tmp_path / "alone" / "Simulated.ome.tif"
    alone.parent.mkdir()
    write_tiff(alone, tifffile.imread(tiff), description=comment)
    assert "ometiff" in told(alone.parent, microscope="ometiff")


@pytest.mark.parametrize("name", [*XML_TYPES, *TEXT_TYPES])
def test_an_image_that_leads_outside_the_folder_is_absent(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "plate"
    simulated(folder, name)
    image = max(
        path for path in folder.rglob("*") if path.suffix.lower() in (".tiff", ".tif", ".stk")
    )
    outside = tmp_path / "outside.tif"
    image.rename(outside)
    image.symlink_to(outside)
    manifest = manifest_of(folder)
    assert any("outside the folder: left out" in text for text in warnings(manifest))
    rows = list(manifest.rows())
    assert len(rows) == PLATE.plane_count
    assert str(image.relative_to(folder)) not in {row.source_file for row in rows}
    assert sum(row.source_file is None for row in rows) > 0


SIZES = {
    "incell": 'width="32"',
    "ometiff": 'SizeX="32"',
    "operetta": "<ImageSizeX>32</ImageSizeX>",
}


@pytest.mark.parametrize("size", ["-32", "99999999999999999999", "many"])
@pytest.mark.parametrize("name", SIZES)
def test_absurd_sizes_are_an_error_by_name(tmp_path: Path, name: str, size: str) -> None:
    entry, text = simulated(tmp_path, name)
    assert SIZES[name] in text
    entry.write_text(text.replace(SIZES[name], SIZES[name].replace("32", size)))
    error = told(tmp_path)
    assert size in error or "expected from 1" in error


@pytest.mark.parametrize("name", SIZES)
def test_sizes_other_than_those_of_the_images_are_told(tmp_path: Path, name: str) -> None:
    entry, text = simulated(tmp_path, name)
    entry.write_text(text.replace(SIZES[name], SIZES[name].replace("32", "2000")))
    manifest = manifest_of(tmp_path)
    assert any("32 x 24" in text for text in warnings(manifest))
    assert {(row.height, row.width) for row in manifest.rows()} == {(24, 32)}


@pytest.mark.parametrize("place", ["-1", "x", "99999999"])
def test_a_well_of_ome_that_cannot_be_is_an_error(tmp_path: Path, place: str) -> None:
    entry, text = simulated(tmp_path, "ometiff")
    entry.write_text(re.sub(r'Row="\d+"', f'Row="{place}"', text))
    assert "well" in told(tmp_path)


def test_an_image_in_no_well_of_its_plate_is_told(tmp_path: Path) -> None:
    entry, text = simulated(tmp_path, "ometiff")
    entry.write_text(text.replace('<ImageRef ID="Image:0"', '<ImageRef ID="Image:77"'))
    assert any("in no well" in text for text in warnings(manifest_of(tmp_path)))


@pytest.mark.parametrize("content", ["", "{", '{"Summary": 3}', "\0\1\2"])
def test_a_position_without_its_metadata_is_no_image_of_another_type(
    tmp_path: Path, content: str
) -> None:
    folder = tmp_path / "plate"
    simulate(folder, "micromanager", PLATE)
    metadata = min(folder.rglob("metadata.txt"))
    metadata.write_text(content)
    manifest = manifest_of(tmp_path)
    (error,) = errors(manifest)
    assert str(metadata.relative_to(tmp_path)) in error
    assert manifest.microscope_type == "micromanager"
