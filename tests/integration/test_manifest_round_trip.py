"""Whatever a dry run finds wrong, the manifest that it writes can put right."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration import build as building
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import ChannelInfo, Manifest
from imextract.registration.microscopes import MICROSCOPES, Claim
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.register import (
    RegistrationRequest,
    RegistrationResult,
    register_folder,
)
from tests.experiments import settings_in
from tests.support import noise, write_tiff
from tests.toys import Toy, plate

Row = dict[str, str]


class Standing(Toy):
    """A type whose sites all stand at the same place, or in the same cell."""

    cells: bool = False

    def read(
        self, found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings
    ) -> Manifest:
        names = (found.folder / claim.entry).read_text().splitlines()
        listed = [
            PlaneFile("P", "A01", site, "C", 0, 0, name, stage_x_um=1.0, stage_y_um=1.0)
            for site, name in enumerate(names)
        ]
        cells = {plane.site_key: (2, 3) for plane in listed} if self.cells else None
        return manifest_of_planes(
            found, self.name, listed, acquisition=None, options=options, settings=settings,
            channels=[ChannelInfo("C")], site_cells=cells,
        )  # fmt: skip


class Celled(Standing):
    """A type that tells one cell for all sites."""

    cells = True


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    toys = {"toy": Toy("toy"), "standing": Standing("standing"), "celled": Celled("celled")}
    toys["odd"] = Toy("odd", well="position 7")
    types = toys | {name: MICROSCOPES[name] for name in ("bioformats", "pattern")}
    monkeypatch.setattr(building, "MICROSCOPES", types)


def plate_in_two_folders(folder: Path) -> None:
    plate(folder / "one")
    plate(folder / "two", names=("a.tif", "b.tif", "c.tif"))


def other_plate(rows: Sequence[Row]) -> list[Row]:
    return [row | {"plate": row["source_file"].partition("/")[0]} for row in rows]


def plane_twice(folder: Path) -> None:
    plate(folder, names=("A01_s1.tif",))
    write_tiff(folder / "A01_s1_copy.tif", noise(6, 8, seed=9))


def first_line(rows: Sequence[Row]) -> list[Row]:
    return list(rows[:1])


def same_place(folder: Path) -> None:
    plate(folder, "standing")


def same_cell(folder: Path) -> None:
    plate(folder, "celled")


def own_cells(rows: Sequence[Row]) -> list[Row]:
    return [row | {"site_y": "0", "site_x": row["site"]} for row in rows]


def file_outside(folder: Path) -> None:
    plate(folder)
    (folder / "toy.list").write_text("a.tif\n../b.tif")


def unreadable_plate(folder: Path) -> None:
    plate(folder / "good")
    plate(folder / "bad", names=())


def as_they_are(rows: Sequence[Row]) -> list[Row]:
    return list(rows)


def no_well(folder: Path) -> None:
    plate(folder, "odd")


def in_a_well(rows: Sequence[Row]) -> list[Row]:
    return [row | {"well": "C07"} for row in rows]


PATTERN = r"(?P<w>[A-P]\d\d)_s(?P<s>\d)"


@pytest.mark.parametrize(
    ("wrong", "correct", "options", "error"),
    [
        (plate_in_two_folders, other_plate, {}, "plate 'P' is in one and in two"),
        (plane_twice, first_line, {"pattern": PATTERN}, "are the same as of"),
        (same_place, own_cells, {}, "stand at the same place"),
        (same_cell, own_cells, {}, "lie at the same place"),
        (file_outside, as_they_are, {}, "not followed"),
        (unreadable_plate, as_they_are, {}, "but is empty"),
        (no_well, in_a_well, {}, "expected a name, A01 to AV72"),
    ],
)
def test_a_problem_is_put_right_by_the_manifest(
    tmp_path: Path,
    wrong: Callable[[Path], None],
    correct: Callable[[Sequence[Row]], list[Row]],
    options: dict[str, object],
    error: str,
) -> None:
    folder, file = tmp_path / "tree", tmp_path / "manifest.csv"
    wrong(folder)
    given = {"folder": folder, "name": "N", "check": 0, "manifest": file, **options}
    dry = run(given | {"dry_run": True}, tmp_path)
    assert any(error in text for text in errors(dry)), dry.problems
    with pytest.raises(RegistrationError, match="not registered"):
        run(given | {"manifest": None}, tmp_path)
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    corrected = correct(rows)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(corrected)
    dry = run(given | {"dry_run": True}, tmp_path)
    assert errors(dry) == []
    done = run(given, tmp_path)
    assert done.counts["planned"] == len(corrected)
    assert sorted(
        (row.site.plate, row.site.well, row.site.site, row.source_file)
        for row in done.manifest.rows()
    ) == sorted(
        (row["plate"], row["well"], int(row["site"]), row["source_file"]) for row in corrected
    )


def run(given: dict[str, object], folder: Path) -> RegistrationResult:
    return register_folder(RegistrationRequest(**given), settings_in(folder))  # type: ignore[arg-type]  # names are its fields


def errors(result: RegistrationResult) -> list[str]:
    return [problem.text for problem in result.problems if problem.severity == "error"]
