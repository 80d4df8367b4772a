"""Every file gets a name that Java can say, and gets its own name back."""

from pathlib import Path

import pytest

from imextract.readers.utf8_names import Utf8Names


def test_a_utf8_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "größe 😀.tif"
    with Utf8Names(path) as names:
        assert names.name == str(path)
        assert names.path(names.name) == path


@pytest.mark.parametrize("folder", ["plain", "b\udcfcrger"])
@pytest.mark.parametrize("name", ["a.tif", "gr\udcfcn.tif"])
def test_other_names_lead_to_the_same_files_and_back(
    tmp_path: Path, folder: str, name: str
) -> None:
    path = tmp_path / folder / name
    path.parent.mkdir()
    path.write_text("this")
    beside = path.with_name("beside-" + name)
    beside.write_text("that")
    with Utf8Names(path) as names:
        names.name.encode()
        spoken = Path(names.name)
        assert spoken.read_text() == "this"
        assert names.path(names.name) == path
        found = {names.path(str(file)): file.read_text() for file in spoken.parent.iterdir()}
        assert found == {path: "this", beside: "that"}
    if names.name != str(path):
        assert not spoken.exists(), "links are removed"
        assert path.read_text() == "this"
