import pytest

from imextract.errors import RegistrationError
from imextract.registration.file_names import NamePattern, ParsedName


def parse(pattern: str, path: str) -> ParsedName:
    name_pattern = NamePattern(pattern)
    match = name_pattern.match(path)
    assert match is not None
    return name_pattern.parse(match)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        (r"_(?P<w>[A-Z]\d\d)_s(?P<s>\d+)", "IXMtest_A02_s9.tif", ParsedName("A02", site=9)),
        (
            r"Channel(?P<c>\d)-\d\d-(?P<wr>[A-P])-(?P<wc>\d\d)",
            "Channel2-14-B-02.tif",
            ParsedName("B02", channel="2"),
        ),
        (
            r"P(?P<s>\d+)--Z(?P<z>\d+)--T(?P<t>\d+)--(?P<c>\w+)\.",
            "--W00001--P00001--Z00000--T00000--cherry.tif",
            ParsedName("A01", site=1, z=0, t=0, channel="cherry"),
        ),
        (r"C(?P<c>\d+)--T(?P<t>\d+)", "image--C01--T00005.tif", ParsedName("A01", None, "01", t=5)),
        (
            r"r(?P<wr>\d\d)c(?P<wc>\d\d)f(?P<s>\d\d)",
            "r03c24f01p01.tiff",
            ParsedName("C24", site=1),
        ),
        (r"(?P<p>[^/]+)/(?P<w>..)\.tif$", "plate 1/b7.tif", ParsedName("B07", plate="plate 1")),
        (r"y(?P<y>\d)x(?P<x>\d)", "y1x0.tif", ParsedName("A01", y=1, x=0)),
        (r"^a(?:_z(?P<z>\d))?", "a.tif", ParsedName("A01")),
    ],
)
def test_names_are_read(pattern: str, path: str, expected: ParsedName) -> None:
    assert parse(pattern, path) == expected


def test_a_pattern_looks_at_the_file_name_alone() -> None:
    assert NamePattern(r"(?P<w>A01)").match("A01/x.tif") is None
    assert NamePattern(r"(?P<w>A01)/").match("A01/x.tif") is not None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(?P<w>", "missing"),
        ("(?P<well>.+)", "unknown group 'well'"),
        ("_s1", "no named group"),
        ("(?P<wr>.)", "by wr and wc together"),
        ("(?P<w>..)(?P<wr>.)(?P<wc>.)", "by wr and wc together"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_an_error(pattern: str, problem: str) -> None:
    with pytest.raises(RegistrationError, match=problem):
        NamePattern(pattern)


def test_an_unknown_group_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RegistrationError, match=r"\(\?P<w>…\) well .*\(\?P<t>…\) tpoint"):
        NamePattern("(?P<field>.)")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("(?P<w>...)", "ZZ9.tif"),
        ("(?P<w>...)", "A00.tif"),
        ("(?P<wr>.)(?P<wc>.)", "A0.tif"),
        ("(?P<wr>.)(?P<wc>.)", "01.tif"),
        ("(?P<s>.)", "a.tif"),
        ("(?P<z>..)", "²1.tif"),
    ],
)
def test_a_name_that_tells_no_well_or_number_is_an_error(pattern: str, path: str) -> None:
    with pytest.raises(ValueError, match=r"expected|no well"):
        parse(pattern, path)
