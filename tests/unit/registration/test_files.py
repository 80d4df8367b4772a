import os
import subprocess
import sys
from pathlib import Path

import pytest

from imextract.errors import RegistrationError
from imextract.registration.files import find_files, natural_order


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_are_found_recursively_in_natural_order(tmp_path: Path) -> None:
    for name in ("b/s10.tif", "b/s2.tif", "a.tif", "b/s2/z.tif"):
        write(tmp_path / name, b"123")
    found = find_files(tmp_path)
    assert list(found.files) == ["a.tif", "b/s2.tif", "b/s2/z.tif", "b/s10.tif"]
    assert found.files["a.tif"].size_bytes == 3
    assert found.files["a.tif"].mtime_ns == (tmp_path / "a.tif").stat().st_mtime_ns
    assert found.problems == []


def test_hidden_and_system_files_are_left_out(tmp_path: Path) -> None:
    for name in (
        "._a.tif",
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        ".git/x.tif",
        "a.tif.bfmemo",
        ".a.tif.bfmemo",
        "a.tif",
    ):
        write(tmp_path / name)
    assert list(find_files(tmp_path).files) == ["a.tif"]


def test_a_name_may_hold_any_byte(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff'\n.tif")
    write(tmp_path / name)
    assert list(find_files(tmp_path).files) == [name]


def test_links_out_of_the_folder_are_refused_by_name(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/secret.tif").parent
    folder = write(tmp_path / "plate/a.tif").parent
    (folder / "file.tif").symlink_to(outside / "secret.tif")
    (folder / "sub").symlink_to(outside)
    (folder / "gone.tif").symlink_to(folder / "nothing")
    found = find_files(folder)
    assert list(found.files) == ["a.tif"]
    assert {problem.file for problem in found.problems} == {"file.tif", "sub", "gone.tif"}
    assert {problem.severity for problem in found.problems} == {"warning"}


def test_links_within_the_folder_neither_loop_nor_repeat(tmp_path: Path) -> None:
    write(tmp_path / "sub/a.tif")
    (tmp_path / "sub/again").symlink_to(tmp_path)
    (tmp_path / "b.tif").symlink_to(tmp_path / "sub/a.tif")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = find_files(tmp_path)
    assert list(found.files) == ["sub/a.tif"]
    assert [problem.file for problem in found.problems] == ["b.tif", "self", "sub/again"]
    assert found.problems[0].text.startswith("links to sub/a.tif in the folder: left out")


def test_of_many_links_some_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a.tif")
    for number in range(25):
        (tmp_path / f"link{number}.tif").symlink_to("a.tif")
    *named, rest = find_files(tmp_path).problems
    assert [problem.file for problem in named] == [f"link{number}.tif" for number in range(20)]
    assert rest.text.startswith("5 more symbolic links are left out")


def test_a_link_to_the_folder_itself_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "plate/a.tif")
    (tmp_path / "link").symlink_to(tmp_path / "plate")
    found = find_files(tmp_path / "link")
    assert list(found.files) == ["a.tif"]
    assert found.folder == (tmp_path / "plate").resolve()


def test_pipes_are_named_and_never_opened(tmp_path: Path) -> None:
    write(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "pipe.tif")
    found = find_files(tmp_path)
    assert list(found.files) == ["a.tif"]
    assert [problem.file for problem in found.problems] == ["pipe.tif"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="no such folder"):
        find_files(tmp_path / "nothing")


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="got a file"):
        find_files(write(tmp_path / "a.tif"))


@pytest.mark.parametrize("below", ["", ".hidden/a.tif", "empty/deeper/"])
def test_an_empty_folder_is_an_error(tmp_path: Path, below: str) -> None:
    if below.endswith("/"):
        (tmp_path / below).mkdir(parents=True)
    elif below:
        write(tmp_path / below)
    with pytest.raises(RegistrationError, match="holds no files"):
        find_files(tmp_path)


_AS_USER = """
import os, sys
from pathlib import Path
from imextract.errors import RegistrationError
from imextract.registration.files import find_files, natural_order
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    found = find_files(Path(sys.argv[1]))
    print(list(found.files), [(p.severity, p.file) for p in found.problems])
except RegistrationError as error:
    print("refused:", error)
"""


def find_as_user(folder: Path) -> str:
    # Root reads everything, so the finding is done by a process of less right.
    finished = subprocess.run(
        [sys.executable, "-c", _AS_USER, str(folder)], capture_output=True, text=True, check=True
    )
    return finished.stdout


def test_an_unreadable_folder_is_an_error(open_folder: Path) -> None:
    folder = write(open_folder / "plate/a.tif").parent
    folder.chmod(0)
    try:
        assert "cannot be read (Permission denied)" in find_as_user(folder)
    finally:
        folder.chmod(0o755)


def test_an_unreadable_folder_within_is_named_and_the_rest_goes_on(open_folder: Path) -> None:
    closed = write(open_folder / "plate/closed/b.tif").parent
    write(open_folder / "plate/a.tif")
    closed.chmod(0)
    try:
        said = find_as_user(open_folder / "plate")
    finally:
        closed.chmod(0o755)
    assert said.strip() == "['a.tif'] [('warning', 'closed')]"


def test_numbers_in_names_are_counted_not_spelt() -> None:
    names = ["a", "a0", "a1", "a02", "a2", "a10", "a10b", "a10b2", "a-1", "a_9/1", "a_10/1", "b1"]
    shuffled = sorted(names, reverse=True)
    assert sorted(shuffled, key=natural_order) == names
    digits = "9" * 300
    assert sorted([f"{digits}9", "10", digits], key=natural_order) == ["10", digits, f"{digits}9"]
