"""Readers are found by name."""

from pathlib import Path

import pytest

from imextract.config import Settings
from imextract.errors import ConfigError
from imextract.readers.registry import open_reader


def test_an_unknown_reader_is_refused_with_the_known_ones(
    tmp_path: Path, reader_settings: Settings
) -> None:
    with pytest.raises(ConfigError, match=r"'abacus'.*tifffile, .*bioformats"):
        open_reader("abacus", tmp_path / "image.tif", reader_settings)
