"""From a folder to one manifest: who claims what, and what is told of the rest."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration import build as building
from imextract.registration.build import build_manifest
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes import MICROSCOPES, Claim, MicroscopeType
from imextract.registration.options import ManifestOptions
from tests.support import noise, write_tiff
from tests.toys import Toy, plate


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    types: dict[str, MicroscopeType] = {"toy": Toy("toy"), "doll": Toy("doll")}
    types |= {name: MICROSCOPES[name] for name in ("bioformats", "pattern")}
    monkeypatch.setattr(building, "MICROSCOPES", types)


def build(folder: Path, **options: object) -> Manifest:
    return build_manifest(folder, ManifestOptions(**options), Settings())  # type: ignore[arg-type]  # names of fields


def warnings(made: Manifest) -> list[tuple[str | None, str]]:
    return [(problem.file, problem.text) for problem in made.problems]


def test_a_type_is_picked_by_what_it_claims(tmp_path: Path) -> None:
    made = build(plate(tmp_path / "plate"))
    assert made.microscope_type == "toy"
    assert [row.source_file for row in made.rows()] == ["a.tif", "b.tif"]
    assert made.problems == []


def test_what_nobody_claims_is_told(tmp_path: Path) -> None:
    folder = plate(tmp_path / "all" / "plate").parent
    (folder / "notes.txt").write_text("a note")
    (folder / "more.log").write_text("a note")
    made = build(folder)
    assert made.microscope_type == "toy"
    ((file, text),) = warnings(made)
    assert file == "more.log"
    # Without a reason: Bio-Formats was not even asked.
    assert text == "this file and 1 more files: no microscope type claims them, left out"


def test_types_in_one_tree_are_all_registered_and_told(tmp_path: Path) -> None:
    plate(tmp_path / "one")
    plate(tmp_path / "two", "doll")
    made = build(tmp_path)
    assert made.microscope_type == "toy + doll"
    types = {
        (row.source_file, made.type_of(row.site.plate, row.acquisition)) for row in made.rows()
    }
    assert types == {
        (f"{folder}/{name}.tif", kind)
        for folder, kind in (("one", "toy"), ("two", "doll"))
        for name in "ab"
    }
    assert len(list(made.rows())) == 4
    assert any("several microscope types: toy, doll" in text for _, text in warnings(made))
    only = build(tmp_path, microscope="doll")
    assert {row.source_file for row in only.rows()} == {"two/a.tif", "two/b.tif"}


def test_a_plate_in_two_folders_is_an_error_that_names_both(tmp_path: Path) -> None:
    plate(tmp_path / "one")
    plate(tmp_path / "two", names=("a.tif", "b.tif", "c.tif"))
    made = build(tmp_path)
    assert [(row.acquisition, row.source_file) for row in made.rows()] == [
        ("acquisition_0", "one/a.tif"),
        ("acquisition_0", "one/b.tif"),
        ("acquisition_1", "two/a.tif"),
        ("acquisition_1", "two/b.tif"),
        ("acquisition_1", "two/c.tif"),
    ]
    (problem,) = made.problems
    assert (problem.severity, problem.file) == ("error", "two")
    assert "plate 'P' is in one and in two, both as acquisition 'acquisition_0'" in problem.text


def test_a_copy_of_a_plate_is_told_whatever_its_name(tmp_path: Path) -> None:
    plate(tmp_path / "screen" / "one")
    shutil.copytree(tmp_path / "screen" / "one", tmp_path / "screen" / "copies" / "uno")
    told = dict(warnings(build(tmp_path / "screen")))
    assert "copy of one: its 3 files" in told["copies/uno"]


def test_folders_of_the_same_names_and_sizes_are_no_copies(tmp_path: Path) -> None:
    plate(tmp_path / "one")
    plate(tmp_path / "two")
    write_tiff(tmp_path / "two" / "a.tif", noise(6, 8, seed=7))
    assert not [text for _, text in warnings(build(tmp_path)) if "copy" in text]


def test_one_name_for_several_plates_is_refused(tmp_path: Path) -> None:
    plate(tmp_path / "one")
    plate(tmp_path / "two", "doll")
    made = build(tmp_path, plate="Q")
    assert {key.plate for key in made.sites} == {"P"}
    errors = [problem.text for problem in made.problems if problem.severity == "error"]
    assert any(text.startswith("--plate Q is the name of one plate") for text in errors)
    assert {key.plate for key in build(tmp_path / "one", plate="Q").sites} == {"Q"}


def test_a_claim_that_cannot_be_read_is_an_error_and_others_go_on(tmp_path: Path) -> None:
    plate(tmp_path / "good")
    plate(tmp_path / "bad", names=())
    made = build(tmp_path)
    assert [problem.severity for problem in made.problems] == ["error"]
    assert made.problems[0].file == "bad/toy.list"
    assert len(list(made.rows())) == 2


def test_a_lone_claim_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    plate(tmp_path / "bad", names=())
    with pytest.raises(RegistrationError, match=r"bad/toy\.list: looks like .* but is empty; "):
        build(tmp_path)


def test_a_type_that_claims_nothing_is_refused_on_request(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match=r"nothing in it was written by .*'doll'"):
        build(plate(tmp_path / "plate"), microscope="doll")


def test_images_that_nobody_claims_are_left_to_bioformats(tmp_path: Path) -> None:
    plate(tmp_path / "plate")
    write_tiff(tmp_path / "beside.tif", noise(4, 5))
    made = build(tmp_path)
    assert made.microscope_type == "toy + bioformats"
    assert {row.source_file for row in made.rows()} == {
        "plate/a.tif",
        "plate/b.tif",
        "beside.tif",
    }


def test_names_alike_but_for_case_are_told(tmp_path: Path) -> None:
    made = build(plate(tmp_path / "plate", names=("a.tif", "A.tif")))
    ((file, text),) = warnings(made)
    assert {file, text.split()[3].rstrip(",")} == {"a.tif", "A.tif"}
    assert len(list(made.rows())) == 2


def test_files_that_are_still_copied_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plate(tmp_path / "plate", names=("a.tif", "b.tif", "c.tif"))

    class Slow(Toy):
        def read(self, *given: object) -> Manifest:
            made = super().read(*given)  # type: ignore[arg-type]  # handed on
            with (folder / "a.tif").open("ab") as stream:
                stream.write(b"more")
            (folder / "b.tif").unlink()
            shutil.copy(folder / "c.tif", folder / "d.tif")
            return made

    monkeypatch.setattr(building, "MICROSCOPES", {"toy": Slow("toy")})
    found = dict(warnings(build(folder)))
    assert found.keys() == {"a.tif", "b.tif", "d.tif"}
    assert "was written to while" in found["a.tif"]
    assert "went while" in found["b.tif"]
    assert "came while" in found["d.tif"]


def test_a_layout_places_the_sites(tmp_path: Path) -> None:
    folder = plate(tmp_path / "plate", names=("a.tif", "b.tif", "c.tif"))
    made = build(folder, layout="vertical", rows=2)
    assert [(site.y, site.x) for site in made.sites.values()] == [(0, 0), (1, 0), (0, 1)]
    with pytest.raises(RegistrationError, match="give --layout too"):
        build(folder, rows=2)


class Lister(Toy):
    """A type whose claims are what its lists name, and no more."""

    def claim(self, found: FoundFiles) -> Sequence[Claim]:
        lists = [path for path in found.files if path.endswith(f"{self.name}.list")]
        named = {path: (found.folder / path).read_text().splitlines() for path in lists}
        return [Claim("", path, frozenset({path, *names})) for path, names in named.items()]


@pytest.fixture
def listed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    types = {"toy": Lister("toy"), "bioformats": MICROSCOPES["bioformats"]}
    monkeypatch.setattr(building, "MICROSCOPES", types)
    plate(tmp_path)
    shutil.copy(tmp_path / "toy.list", tmp_path / "z-toy.list")
    return tmp_path


def test_images_of_two_different_indices_are_an_error(listed_twice: Path) -> None:
    (listed_twice / "z-toy.list").write_text("b.tif")
    made = build(listed_twice)
    (problem,) = made.problems
    assert (problem.severity, problem.file) == ("error", "z-toy.list")
    assert "1 of its images, such as b.tif, are those of toy.list already" in problem.text
    assert [row.source_file for row in made.rows()] == ["a.tif", "b.tif"]


def test_an_index_that_is_a_part_of_another_set_is_named(listed_twice: Path) -> None:
    (listed_twice / "toy.list").write_text("a.tif\nb.tif\nz-toy.list")
    (listed_twice / "z-toy.list").write_text("")
    made = build(listed_twice)
    (problem,) = (one for one in made.problems if one.file == "z-toy.list" and "part" in one.text)
    assert problem.text == "is taken for a part of toy.list, which is read: not read by itself"


def test_a_copy_of_an_index_is_left_out_and_told(listed_twice: Path) -> None:
    made = build(listed_twice)
    (problem,) = made.problems
    assert (problem.severity, problem.file) == ("warning", "z-toy.list")
    assert "is a copy of toy.list" in problem.text
    assert [row.source_file for row in made.rows()] == ["a.tif", "b.tif"]
