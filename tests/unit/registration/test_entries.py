"""Which file of a data set is opened, told to the chooser without opening any."""

from pathlib import Path

import pytest

from imextract.errors import SourceFileError, UnknownFormatError
from imextract.planes import SeriesStructure
from imextract.readers.bioformats import Inspection
from imextract.registration.candidates import Candidate
from imextract.registration.entries import EntryChooser
from imextract.registration.files import FoundFiles, natural_order
from imextract.registration.manifest import SourceFile

STRUCTURE = (SeriesStructure(4, 4, 1, 1, 1, "uint8", "XYCZT"),)


class Folder:
    """A folder in which opening a file uses the files that the test says."""

    def __init__(self, *paths: str, path: Path = Path("/plate")) -> None:
        ordered = sorted(paths, key=natural_order)
        self.found = FoundFiles(path, {name: SourceFile(name, 1, 1) for name in ordered})
        self.opened: list[str] = []
        self._uses: dict[str, tuple[list[str], list[str]]] = {}

    def opens(self, entry: str, pixels: list[str], metadata: list[str] | None = None) -> None:
        self._uses[entry] = pixels, metadata or []

    def inspect(self, path: str) -> Inspection:
        self.opened.append(path)
        if path not in self._uses:
            raise UnknownFormatError(f"{path}: unknown")
        pixels, metadata = self._uses[path]
        folder = self.found.folder
        return Inspection(
            path=folder / path,
            format_name="Test",
            structure=STRUCTURE,
            used_files=tuple(folder / name for name in [*metadata, *pixels]),
            metadata_files=tuple(folder / name for name in metadata),
            ome_xml="<OME/>",
            warnings=(),
        )

    def choose(self) -> list[Candidate]:
        self.chooser = EntryChooser(self.found, self.inspect)
        return self.chooser.choose()

    def entries(self) -> list[str]:
        return [candidate.entry for candidate in self.choose()]

    def problems(self) -> list[tuple[str, str | None]]:
        return [(problem.severity, problem.file) for problem in self.chooser.problems]


def test_a_large_set_is_opened_twice() -> None:
    images = [f"Images/r01c01f{number}.tiff" for number in range(5000)]
    index = ["Images/Index.idx.xml", "Assaylayout/Unnamed.xml"]
    folder = Folder(*images, *index)
    for entry in (index[0], *images):
        folder.opens(entry, images, index)
    assert folder.entries() == ["Images/Index.idx.xml"]
    assert folder.opened == ["Images/Index.idx.xml", "Images/r01c01f0.tiff"]
    assert folder.problems() == []


def test_the_entry_that_sees_most_images_wins() -> None:
    images = ["pos0.ome.tif", "pos1.ome.tif", "pos2.ome.tif"]
    folder = Folder(*images, "pos0_metadata.txt", "pos1_metadata.txt", "pos2_metadata.txt")
    for number, image in enumerate(images):
        folder.opens(image, images)
        name = f"pos{number}_metadata.txt"
        folder.opens(name, [image], [name])
    (chosen,) = folder.choose()
    assert chosen.entry == "pos0.ome.tif"
    assert chosen.pixel_files == tuple(images)
    assert folder.problems() == []


def test_of_two_ways_to_the_same_images_the_metadata_file_wins() -> None:
    folder = Folder("a.tif", "b.tif", "scan.xml", "scan.env")
    folder.opens("scan.xml", ["a.tif", "b.tif"], ["scan.xml", "scan.env"])
    folder.opens("a.tif", ["a.tif", "b.tif"])
    (chosen,) = folder.choose()
    assert chosen.entry == "scan.xml"
    entry, companions = chosen.source_files(folder.found)
    assert (entry.path, entry.holds_pixels) == ("scan.xml", False)
    assert [(file.path, file.holds_pixels) for file in companions] == [
        ("scan.env", False),
        ("a.tif", True),
        ("b.tif", True),
    ]


def test_of_two_images_the_first_by_name_wins() -> None:
    folder = Folder("b2.tif", "b10.tif")
    for image in ("b2.tif", "b10.tif"):
        folder.opens(image, ["b10.tif", "b2.tif"])
    assert folder.entries() == ["b2.tif"]


def test_files_by_themselves_are_data_sets_by_themselves() -> None:
    folder = Folder("a.tif", "b.tif")
    for image in ("a.tif", "b.tif"):
        folder.opens(image, [image])
    assert folder.entries() == ["a.tif", "b.tif"]


def test_a_file_whose_reader_counts_it_as_metadata_holds_the_pixels() -> None:
    folder = Folder("a.lif")
    folder.opens("a.lif", [], ["a.lif"])
    entry, companions = folder.choose()[0].source_files(folder.found)
    assert (entry.path, entry.holds_pixels, companions) == ("a.lif", True, ())


def test_a_set_found_later_takes_over_what_it_sees_more_of() -> None:
    folder = Folder("a.tif", "b.tif", "c.tif", "z.dat")
    folder.opens("a.tif", ["a.tif", "b.tif"])
    folder.opens("b.tif", ["b.tif"])
    folder.opens("c.tif", ["b.tif", "c.tif", "z.dat"])
    folder.opens("z.dat", ["z.dat"])
    assert folder.entries() == ["c.tif"]
    assert folder.problems() == [("warning", "a.tif")]


def test_a_file_that_fails_is_named_and_the_others_go_on() -> None:
    folder = Folder("a.tif", "b.czi", "c.nd2")
    folder.opens("a.tif", ["a.tif"])

    def inspect(path: str) -> Inspection:
        if path == "b.czi":
            raise SourceFileError("b.czi: damaged header")
        return folder.inspect(path)

    chooser = EntryChooser(folder.found, inspect)
    assert [candidate.entry for candidate in chooser.choose()] == ["a.tif"]
    assert [problem.file for problem in chooser.problems] == ["b.czi", "c.nd2"]
    assert "damaged header" in chooser.problems[0].text


def test_what_are_no_images_is_counted_in_one_line_and_hardly_opened() -> None:
    folder = Folder("a.tif", "notes.txt", "run.log", "README.md", "x.json", "layout.xml")
    folder.opens("a.tif", ["a.tif"])
    assert folder.entries() == ["a.tif"]
    assert folder.problems() == [("warning", None)]
    assert folder.chooser.problems[0].text.startswith("5 other files")
    assert set(folder.opened) == {"a.tif", "notes.txt", "layout.xml"}


@pytest.mark.parametrize("name", ["plate.zip", "a.ome.tif.gz", "b.tar.gz"])
def test_archives_are_named_and_not_opened(name: str) -> None:
    folder = Folder(name)
    assert folder.entries() == []
    assert folder.problems() == [("warning", name)]
    assert folder.opened == []


def test_an_empty_file_is_named_and_not_opened() -> None:
    folder = Folder("a.tif")
    folder.found.files["a.tif"] = SourceFile("a.tif", 0, 1)
    assert folder.entries() == []
    assert folder.problems() == [("warning", "a.tif")]
    assert folder.opened == []


def test_a_missing_image_of_a_set_is_named() -> None:
    folder = Folder("index.xml", "a.tif")
    folder.opens("index.xml", ["a.tif", "gone.tif"], ["index.xml"])
    (chosen,) = folder.choose()
    assert chosen.pixel_files == ("a.tif",)
    assert folder.problems() == [("warning", "gone.tif")]


def test_an_image_outside_the_folder_forbids_registering(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "outside.tif").write_bytes(b"x")
    folder = Folder("index.xml", "a.tif", path=tmp_path / "plate")
    folder.opens("index.xml", ["a.tif", "../outside.tif"], ["index.xml"])
    folder.choose()
    ((severity, file),) = folder.problems()
    assert severity == "error"
    assert file is not None
    assert file.endswith("outside.tif")


def test_metadata_outside_the_folder_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "layout.xml").write_bytes(b"x")
    folder = Folder("index.xml", "a.tif", path=tmp_path / "plate")
    folder.opens("index.xml", ["a.tif"], ["index.xml", "../layout.xml"])
    (chosen,) = folder.choose()
    assert chosen.files == ("index.xml", "a.tif")
    assert folder.problems() == []


def test_a_tiff_beside_files_of_another_type_is_opened_alone() -> None:
    folder = Folder("fails.tif", "grouped.tif", "own.ome.tif")
    folder.found.claimed = {"plane.tif": "a.nd"}
    folder.opens("grouped.tif", ["grouped.tif", "plane.tif"])
    folder.opens("own.ome.tif", ["own.ome.tif", "plane.tif"])

    def inspect(path: str) -> Inspection:
        if path == "fails.tif":
            raise SourceFileError("fails.tif: index out of bounds")
        return folder.inspect(path)

    def inspect_alone(path: str) -> Inspection | None:
        file = folder.found.folder / path
        alone = Inspection(file, "Test", STRUCTURE, (file,), (), "<OME/>", ())
        return None if path == "own.ome.tif" else alone

    chooser = EntryChooser(folder.found, inspect, inspect_alone)
    chosen = {candidate.entry: candidate.files for candidate in chooser.choose()}
    assert chosen == {"fails.tif": ("fails.tif",), "grouped.tif": ("grouped.tif",)}
    (left_out, read_alone) = chooser.problems
    assert left_out.file == "own.ome.tif"
    assert "no plain TIFF to be read alone" in left_out.text
    assert read_alone.text.startswith("2 plain TIFFs lie beside another data set")


def test_an_image_in_whose_place_another_is_read_is_left_out_by_name() -> None:
    folder = Folder("a.ome.tif", "img.ome.tif")
    folder.opens("a.ome.tif", ["img.ome.tif"])
    folder.opens("img.ome.tif", ["img.ome.tif"])
    assert folder.entries() == ["img.ome.tif"]
    (problem,) = folder.chooser.problems
    assert problem.file == "a.ome.tif"
    assert "reads img.ome.tif in its place" in problem.text


def test_a_rejected_entry_that_no_data_set_has_is_named() -> None:
    folder = Folder("a.lei", "b.tif", "c.tif")
    folder.opens("a.lei", ["b.tif"], ["a.lei"])
    folder.opens("b.tif", ["b.tif", "c.tif"])
    assert folder.entries() == ["b.tif"]
    assert folder.problems() == [("warning", "a.lei")]
