"""Reading the XML of microscopes: untrusted, and up to hundreds of megabytes.

Elements are told one after the other, so that none is kept that is not
wanted. Microscopes write no document types: a file with one is refused, and
with it every entity that grows, or leads elsewhere.
"""

import codecs
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, InputSource

from defusedxml import DefusedXmlException
from defusedxml.sax import parse

from imextract.errors import RegistrationError, SourceFileError
from imextract.readers.source import open_source
from imextract.registration.local_names import why_not_local

__all__ = ["XmlVisitor", "encoding_of", "joined", "read_head", "read_text", "visit_xml"]

_NONE: Mapping[str, str] = {}
_HEAD_BYTES = 4096
_PIECE_BYTES = 2**22
_DECLARED_ENCODING = re.compile(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)[\"']")
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


class XmlVisitor(Protocol):
    """Is told of every element; names come without the prefix of a namespace."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Hear that an element begins."""
        ...

    def end(self, name: str, text: str) -> None:
        """Hear that an element ends, and the text since the last tag, stripped."""
        ...


def visit_xml(path: Path, visitor: XmlVisitor, *, encoding: str | None = None) -> None:
    """Tell a visitor the elements of a file.

    Parameters
    ----------
    encoding
        Taken in place of the declared one.

    Raises
    ------
    RegistrationError
        If the file is no well-formed XML, or has a document type.
    SourceFileError
        If it cannot be read.
    """
    source = InputSource()
    if encoding is not None:
        # The parser passes over a byte order mark by itself, but knows no name for that.
        source.setEncoding(encoding.removesuffix("-sig"))
    with open_source(path) as stream:
        source.setByteStream(stream)
        try:
            parse(source, _Handler(visitor), forbid_dtd=True)
        except DefusedXmlException as error:
            raise RegistrationError(
                f"{path}: holds a document type or entities, which no microscope writes and "
                "which may do harm: refused; replace it by the file of the microscope"
            ) from error
        except SAXParseException as error:
            raise RegistrationError(
                f"{path}: line {error.getLineNumber()} is no well-formed XML "
                f"({error.getMessage()}); copy the file again from the microscope"
            ) from error
        except (SAXException, UnicodeError, LookupError) as error:
            raise RegistrationError(
                f"{path}: cannot be read as XML ({error}); copy the file again from the microscope"
            ) from error


def read_head(path: Path) -> bytes:
    """Read the first bytes of a file, in which its format can be seen; none on an error."""
    try:
        with open_source(path) as stream:
            return stream.read(_HEAD_BYTES)
    except (OSError, SourceFileError):
        return b""


def read_text(path: Path) -> str:
    """Read the whole text of an XML file, in its own encoding; odd bytes are replaced."""
    decoder = codecs.getincrementaldecoder(encoding_of(read_head(path)))("replace")
    text = ""
    with open_source(path) as stream:
        # A string that grows at its end, in a for loop, grows in place: decoding all bytes
        # at once would take twice the 100 MB of a large plate.
        for piece in iter(partial(stream.read, _PIECE_BYTES), b""):
            text += decoder.decode(piece)
    return text + decoder.decode(b"", final=True)


def encoding_of(head: bytes) -> str:
    """Tell the encoding of an XML file by its first bytes."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    declared = _DECLARED_ENCODING.match(head)
    try:
        return codecs.lookup(declared[1].decode() if declared else "utf-8").name
    except LookupError:
        return "utf-8"


def joined(folder: str, name: str) -> str:
    """Give the path of a file that metadata in a folder name.

    A name that may not be followed is given as it is, for the plane's
    manifest to refuse.
    """
    if why_not_local(name) is not None:
        return name
    local = "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    return f"{folder}/{local}" if folder else local


class _Handler(ContentHandler):
    def __init__(self, visitor: XmlVisitor) -> None:
        super().__init__()
        self._visitor = visitor
        self._text: list[str] = []
        self._names: dict[str, str] = {}
        # Called for every piece of text: an attribute, not a method.
        self.characters = self._text.append  # type: ignore[assignment,method-assign]

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        self._text.clear()
        self._visitor.start(self._local(name), dict(attrs.items()) if len(attrs) else _NONE)

    def endElement(self, name: str) -> None:  # noqa: N802
        text = "".join(self._text).strip()
        self._text.clear()
        self._visitor.end(self._local(name), text)

    def _local(self, name: str) -> str:
        # A document of millions of elements has dozens of names.
        local = self._names.get(name)
        if local is None:
            local = self._names[name] = name.rpartition(":")[2]
        return local
