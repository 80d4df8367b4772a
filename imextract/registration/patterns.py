"""Ready patterns of file names, by name."""

import re
from collections.abc import Sequence

from imextract.errors import RegistrationError

__all__ = ["NAMED_PATTERNS", "fitting_pattern", "pattern_text"]

_IMAGE = r"\.(?:tiff?|TIFF?|png|jpe?g)$"
_GUID = r"(?:[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12})?"

# Each with the kind of names that it reads.
NAMED_PATTERNS: dict[str, tuple[str, str]] = {
    "bbbc021": (
        r"_(?P<w>[A-P][0-9]{2})_s(?P<s>[0-9]+)_w(?P<c>[0-9]+?)" + _GUID + _IMAGE,
        "Week1_150607_B02_s1_w107447158-AC92-4844-8584-3FB7D7AF9AA9.tif",
    ),
    "cellprofiler-human": (
        r"_(?P<w>[A-P][0-9]{2})f(?P<s>[0-9]+)d(?P<c>[0-9]+)" + _IMAGE,
        "AS_09125_050116030001_D03f00d0.tif (Cellomics exports)",
    ),
    "cellprofiler-sbs": (
        r"^Channel(?P<c>[0-9]+)-[0-9]+-(?P<wr>[A-P])-(?P<wc>[0-9]{2})" + _IMAGE,
        "Channel1-01-A-01.tif",
    ),
    "harmony": (
        r"^r(?P<wr>[0-9]{2})c(?P<wc>[0-9]{2})f(?P<s>[0-9]+)p(?P<z>[0-9]+)-ch(?P<c>[0-9]+)"
        r"sk(?P<t>[0-9]+)[A-Za-z0-9]*" + _IMAGE,
        "r03c03f01p01-ch1sk1fk1fl1.tiff (Operetta, Opera Phenix, without Index.xml)",
    ),
    "incell": (
        r"^(?P<wr>[A-P]) - (?P<wc>[0-9]{1,2})\(fld (?P<s>[0-9]+) wv (?P<c>[^)]*?)"
        r"(?: z (?P<z>[0-9]+))?(?: t(?:ime)? (?P<t>[0-9]+)(?: - [0-9]+ ms)?)?\)" + _IMAGE,
        "A - 1(fld 1 wv DAPI - DAPI z 1).tif",
    ),
    "ixm": (
        r"_(?P<w>[A-P][0-9]{2})_s(?P<s>[0-9]+)(?:_w(?P<c>[0-9]+?))?" + _GUID + _IMAGE,
        "IXMtest_A02_s9.tif (a stack of channels, or one channel w1)",
    ),
    "mitocheck": (
        r"--W(?P<wc>[0-9]{4})--P(?P<s>[0-9]+)--T(?P<t>[0-9]+)--Z(?P<z>[0-9]+)--(?P<c>[^-/.]+)"
        + _IMAGE,
        "EMBO_2012_Group3--empty--empty--W0002--P001--T00000--Z000--C.tif, wells in one row",
    ),
    "opera": (
        r"^(?P<wr>[0-9]{3})(?P<wc>[0-9]{3})(?P<t>[0-9]{3})(?P<s>[0-9]{3})(?P<c>[0-9]{3})" + _IMAGE,
        "001002001001001.tif (row, column, time, field, channel)",
    ),
    "scanr": (
        r"--P(?P<s>[0-9]+)--Z(?P<z>[0-9]+)--T(?P<t>[0-9]+)--(?P<c>[^/]+?)" + _IMAGE,
        "--W00001--P00001--Z00000--T00000--cherry.tif, one well",
    ),
    "w-p-z-t": (
        r"--W(?P<wc>[0-9]{1,5})--P(?P<s>[0-9]+)--Z(?P<z>[0-9]+)--T(?P<t>[0-9]+)--(?P<c>[^/]+?)"
        + _IMAGE,
        "--W00001--P00001--Z00000--T00000--cherry.tif, wells in one row",
    ),
    # One channel is an action and a number, which do not stand side by side.
    "yokogawa": (
        r"_(?P<w>[A-Z]{1,2}[0-9]{2})_T(?P<t>[0-9]+)F(?P<s>[0-9]+)L[0-9]+A01Z(?P<z>[0-9]+)"
        r"(?P<c>C[0-9]+)" + _IMAGE,
        "P_D03_T0001F001L01A01Z01C01.tif (CellVoyager of one action, without its .mlf)",
    ),
}

_NAME = re.compile(r"[a-z0-9-]+")


def pattern_text(given: str) -> str:
    """Give the regular expression of a named pattern, or the text itself.

    Raises
    ------
    RegistrationError
        If the text can only be a name, but no pattern has it.
    """
    if given in NAMED_PATTERNS:
        return NAMED_PATTERNS[given][0]
    if _NAME.fullmatch(given.lower()):
        raise RegistrationError(
            f"pattern {given!r}: no ready pattern has this name, and it names no group; the "
            f"ready ones are {', '.join(NAMED_PATTERNS)}"
        )
    return given


def fitting_pattern(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """Give the ready pattern that reads most of these names, and which; None if none reads two."""
    fits = [
        (name, [one for one in names if re.search(pattern, one)])
        for name, (pattern, _) in NAMED_PATTERNS.items()
    ]
    best = max(fits, key=lambda fit: len(fit[1]))
    return best if len(best[1]) > 1 else None
