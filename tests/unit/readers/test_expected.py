"""Files are compared with what they were at registration."""

import os
from pathlib import Path

from imextract.readers.expected import ExpectedFile, file_problems


def test_a_file_as_registered_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert file_problems([ExpectedFile.as_found(path)]) == {}


def test_each_bad_file_is_told_with_what_was_expected(tmp_path: Path) -> None:
    gone, grown, touched = (tmp_path / name for name in ("gone", "grown", "touched"))
    for path in (gone, grown, touched):
        path.write_bytes(b"1234")
    expected = [ExpectedFile.as_found(path) for path in (gone, grown, touched)]
    gone.unlink()
    grown.write_bytes(b"12345")
    os.utime(touched, ns=(1, 1))
    problems = file_problems(expected)
    assert "No such file" in problems[gone]
    assert "5 bytes, registered with 4" in problems[grown]
    assert "modification time" in problems[touched]
