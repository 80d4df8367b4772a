"""Reading `.nd` files: what they declare, and what cannot be."""

import pytest

from imextract.errors import SourceFileError
from imextract.registration.nd_text import Wave, decode_nd, is_nd, parse_nd

TEXT = """"NDInfoFile", Version 1.0
"Description", three lines
of which the second, with a comma, is no entry
"StartTime1", 20260105 09:00:00.000
"DoTimelapse", TRUE
"NTimePoints", 7
"DoStage", TRUE
"NStagePositions", 2
"Stage1", "row:A,column:1,site:1"
"Stage2", "row:A,column:1,site:2"
"DoWave", TRUE
"NWavelengths", 2
"WaveName1", "DAPI"
"WaveDoZ1", TRUE
"WaveName2", "Bright, Field"
"WaveDoZ2", FALSE
"DoZSeries", TRUE
"NZSteps", 5
"ZStepSize", 0,25
"WaveInFileName", TRUE
"EndFile"
"""


def test_everything_declared_is_read() -> None:
    found = parse_nd(TEXT.replace("\n", "\r\n"))
    assert found.stages == ("row:A,column:1,site:1", "row:A,column:1,site:2")
    assert found.waves == (Wave("DAPI", 5), Wave("Bright, Field", 1))
    assert (found.tpoints, found.has_zplanes, found.zstep_um) == (7, True, 0.25)
    assert found.warnings == ()


def test_what_is_not_done_counts_once() -> None:
    text = '"NDInfoFile", Version 2.0\n"DoTimelapse", FALSE\n"NTimePoints", 9\n"DoStage", FALSE\n'
    found = parse_nd(text + '"DoWave", FALSE\n"DoZSeries", FALSE\n"NZSteps", 9\n"EndFile"\n')
    assert (found.stages, found.waves, found.tpoints) == ((), (Wave(None, 1),), 1)
    assert found.zstep_um is None


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ('"NTimePoints", 7', '"NTimePoints", -7'),
        ('"NTimePoints", 7', '"NTimePoints", 0'),
        ('"NTimePoints", 7', '"NTimePoints", many'),
        ('"NStagePositions", 2', '"NStagePositions", 999999999999'),
        ('"NWavelengths", 2', '"NWavelengths", 5000'),
        ('"NZSteps", 5', ""),
    ],
)
def test_impossible_counts_are_named(line: str, other: str) -> None:
    key = line.split('"')[1]
    with pytest.raises(SourceFileError, match=f"{key} is .*correct the file"):
        parse_nd(TEXT.replace(line, other))


def test_counts_that_multiply_to_the_absurd_are_refused() -> None:
    text = TEXT.replace('"NTimePoints", 7', '"NTimePoints", 999999')
    with pytest.raises(SourceFileError, match="planes, expected"):
        parse_nd(text.replace('"NZSteps", 5', '"NZSteps", 99999'))


def test_a_newer_version_and_a_cut_end_are_warned_of() -> None:
    text = TEXT.replace("Version 1.0", "Version 3.5").replace('"EndFile"\n', "")
    assert [warning.split(":")[0] for warning in parse_nd(text).warnings] == [
        "is of version 'Version 3.5', known are 1.0 and 2.0".replace("Version ", ""),
        "ends without its last line, and may be cut short",
    ]


def test_text_of_western_windows_is_decoded() -> None:
    assert decode_nd("Blä".encode("cp1252")) == "Blä"
    assert decode_nd("Blä".encode("utf-8-sig")) == "Blä"


def test_other_files_of_the_suffix_are_not_taken() -> None:
    assert not is_nd("ND2 or anything")
    assert is_nd('"NDInfoFile", Version 1.0')
