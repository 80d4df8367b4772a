import pytest

from imextract.registration.wells import (
    LAST_ROW,
    is_well_name,
    parse_well_name,
    row_index,
    well_name,
)


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [
        (0, 0, "A01"),
        (15, 23, "P24"),
        (25, 9, "Z10"),
        (26, 0, "AA01"),
        (31, 47, "AF48"),
        (47, 71, "AV72"),
    ],
)
def test_wells_are_named_as_printed_on_plates(row: int, column: int, name: str) -> None:
    assert well_name(row, column) == name


@pytest.mark.parametrize(
    ("text", "well"), [("A1", "A01"), ("a01", "A01"), ("p24", "P24"), ("af48", "AF48")]
)
def test_common_spellings_are_understood(text: str, well: str) -> None:
    assert well_name(*parse_well_name(text)) == well


@pytest.mark.parametrize(
    "text",
    ["", "A", "1", "01", "A0", "A00", "A73", "AW01", "Z99", "ZZ9", "A001", "A1 ", "Ä1"],
)
def test_what_is_no_well_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_well_name(text)
    assert not is_well_name(text)


def test_rows_of_letters_end_with_a_3456_well_plate() -> None:
    assert row_index("AV") == LAST_ROW
    with pytest.raises(ValueError, match="A to AV"):
        row_index("AW")


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1)])
def test_negative_indices_name_no_well(row: int, column: int) -> None:
    with pytest.raises(ValueError, match="from 0"):
        well_name(row, column)
