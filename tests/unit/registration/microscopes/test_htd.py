"""HTD files are read as they are written, and refused where they cannot be true."""

import pytest

from imextract.errors import SourceFileError
from imextract.registration.microscopes.htd import Htd, parse_htd

HEAD = '"HTSInfoFile", Version 1.0\r\n'
PLATE = (
    HEAD + '"TimePoints", 2\r\n"ZSeries", TRUE\r\n"ZSteps", 3\r\n"XWells", 12\r\n"YWells", 8\r\n'
    '"WellsSelection1", TRUE, FALSE\r\n"WellsSelection2", FALSE, FALSE, TRUE\r\n'
    '"Sites", TRUE\r\n"XSites", 2\r\n"YSites", 2\r\n'
    '"SiteSelection1", FALSE, TRUE\r\n"SiteSelection2", TRUE, TRUE\r\n'
    '"Waves", TRUE\r\n"NWavelengths", 2\r\n"WaveName1", "DAPI"\r\n"WaveName2", "Texas, Red"\r\n'
)


def changed(key: str, value: str) -> str:
    """The plate with another value for a key."""
    lines = [line for line in PLATE.splitlines() if not line.startswith(f'"{key}"')]
    return "\r\n".join([*lines, f'"{key}", {value}'])


def test_a_plate_is_read() -> None:
    assert parse_htd(PLATE) == Htd(
        version="Version 1.0",
        rows=8,
        columns=12,
        wells=("A01", "B03"),
        site_cells=((0, 1), (1, 0), (1, 1)),
        waves=("DAPI", "Texas, Red"),
        tpoints=2,
        zsteps=3,
    )


@pytest.mark.parametrize(
    "text", [changed("ZSteps", "0"), changed("ZSeries", "FALSE"), PLATE.replace('"ZSteps", 3', "")]
)
def test_a_plate_without_stacks_has_one_plane_each(text: str) -> None:
    assert parse_htd(text).zsteps == 1


def test_sites_that_are_switched_off_are_one() -> None:
    htd = parse_htd(changed("Sites", "FALSE"))

    assert (htd.site_count, htd.site_cells) == (1, ())


def test_waves_that_are_switched_off_are_one() -> None:
    assert len(parse_htd(changed("Waves", "FALSE")).waves) == 1


def test_a_stray_quote_does_not_swallow_what_follows() -> None:
    text = PLATE.replace(HEAD, HEAD + '"Description", "10" gap, "no end\r\n')

    assert parse_htd(text) == parse_htd(PLATE)


@pytest.mark.parametrize("value", ["-1", "999999999", "many", "1e3", '""x'])
@pytest.mark.parametrize("key", ["XWells", "YSites", "NWavelengths", "TimePoints", "ZSteps"])
def test_an_absurd_number_is_named(key: str, value: str) -> None:
    with pytest.raises(SourceFileError, match=f"{key} is .*expected a number from 0"):
        parse_htd(changed(key, value))


def test_numbers_that_are_absurd_together_are_refused() -> None:
    text = changed("TimePoints", "100000").replace('"ZSteps", 3', '"ZSteps", 9999')

    with pytest.raises(SourceFileError, match=r"declares .* planes"):
        parse_htd(text)


def test_another_text_is_no_htd() -> None:
    with pytest.raises(SourceFileError, match="HTSInfoFile"):
        parse_htd("")
