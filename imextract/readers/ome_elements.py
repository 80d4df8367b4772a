"""The elements of OME-XML, one after the other: untrusted, and not always well-formed."""

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, iterparse

from imextract.errors import SourceFileError

__all__ = ["local_name", "read_elements"]

T = TypeVar("T")

_PART = 16 * 2**20

# Vendor metadata reaches OME-XML with characters that XML forbids.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REFERENCE = re.compile("&#(?:x([0-9A-Fa-f]{1,8})|([0-9]{1,8}));")


def read_elements(
    text: str, events: Sequence[str], gather: Callable[[Iterator[tuple[str, Element]]], T]
) -> T:
    """Give what is gathered from the elements of OME-XML.

    Parameters
    ----------
    events
        "start", "end", or both.
    gather
        Called with the events; once more, from the first, where characters
        that XML forbids had to be taken out.

    Raises
    ------
    SourceFileError
        If the text is no XML, or carries entities.
    """
    try:
        return _gathered(text, events, gather)
    except ParseError:
        pass
    try:
        return _gathered(_ILLEGAL.sub("", _REFERENCE.sub(_legal, text)), events, gather)
    except ParseError as error:
        raise SourceFileError(
            f"the OME-XML cannot be read: {error}; copy the file again from the microscope"
        ) from error


def local_name(element: Element) -> str:
    """Give the name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _gathered(
    text: str, events: Sequence[str], gather: Callable[[Iterator[tuple[str, Element]]], T]
) -> T:
    source = _LargeParts(text.encode("utf-8", errors="replace"))
    # Whatever encoding is declared, the text is decoded already.
    parser = DefusedXMLParser(target=TreeBuilder(), encoding="utf-8", forbid_dtd=True)
    try:
        return gather(iterparse(source, events, parser))
    except DefusedXmlException as error:
        raise SourceFileError(
            "the OME-XML holds a document type or entities, which no microscope writes and which "
            "may do harm: refused; replace the file by that of the microscope"
        ) from error


class _LargeParts(io.BytesIO):
    """Gives more than is asked for: expat begins a long tag anew with each part of it."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 0 else max(size, _PART))


def _legal(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    is_legal = code <= 0x10FFFF and not _ILLEGAL.match(chr(code))
    return match[0] if is_legal else ""
