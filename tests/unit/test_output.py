"""What the command line prints of names that a terminal would obey."""

import pytest

from imextract.cli.output import print_error, print_line, print_table

HOSTILE = "a\x1b[2J\nb\r\x9b"


def test_an_error_is_one_line_that_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"error: {HOSTILE}")
    assert capsys.readouterr().err == "error: a\\x1b[2J\\nb\\r\\x9b\n"


def test_a_row_of_a_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name",), [(HOSTILE + "\udce4",), ("ü",)])
    assert capsys.readouterr().out.splitlines() == [
        "name",
        "a\\x1b[2J\\nb\\r\\x9b\\udce4",
        "ü",
    ]


def test_a_text_keeps_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("one\r\n\ttwo\n\x1b[31mred\rover")
    assert capsys.readouterr().out == "one\r\n\ttwo\n\\x1b[31mred\\rover\n"
