"""Metadata that a microscope wrote as text: of any encoding, and not to be trusted."""

import codecs
from pathlib import Path

from imextract.errors import SourceFileError
from imextract.readers.source import open_source

__all__ = ["read_text"]

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path, most_bytes: int) -> str:
    """Read a text: UTF-8 or UTF-16 by its mark, else as Windows writes western languages.

    Raises
    ------
    SourceFileError
        If it cannot be read, or is longer than such a text can be.
    """
    with open_source(path) as stream:
        try:
            content = stream.read(most_bytes + 1)
        except OSError as error:
            raise SourceFileError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise SourceFileError(
            f"{path}: expected at most {most_bytes} bytes of metadata; replace the file"
        )
    if content.startswith(_UTF_16):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")
