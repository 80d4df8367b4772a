"""XML of microscopes is read piece by piece, and what may do harm is refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from imextract.errors import RegistrationError
from imextract.registration.vendor_xml import joined, read_text, visit_xml

BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>'
ELSEWHERE = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'
)


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.heard.append((name, dict(attributes)))

    def end(self, name: str, text: str) -> None:
        self.heard.append((name, text))


def _heard(
    path: Path, content: str | bytes, encoding: str | None = None
) -> list[tuple[str, object]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    listener = Listener()
    visit_xml(path, listener, encoding=encoding)
    return listener.heard


def test_elements_are_told_without_prefix_and_with_their_own_text(tmp_path: Path) -> None:
    heard = _heard(
        tmp_path / "a.xml", '<h:a xmlns:h="u" k="1"> x <h:b> y &amp; z </h:b> tail </h:a>'
    )

    assert heard == [
        ("a", {"xmlns:h": "u", "k": "1"}),
        ("b", {}),
        ("b", "y & z"),
        ("a", "tail"),
    ]


@pytest.mark.parametrize("content", [BOMB, ELSEWHERE, '<!DOCTYPE a SYSTEM "http://x/y.dtd"><a/>'])
def test_document_types_and_entities_are_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(RegistrationError, match="document type or entities"):
        _heard(tmp_path / "bomb.xml", content)


@pytest.mark.parametrize(
    "content", [b"<a><b></a>", b"<a>", b"", b"\x89PNG", b"<a>\xff</a>", b"<a>&#0;</a>"]
)
def test_what_is_no_xml_is_named_with_its_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RegistrationError, match=r"bad\.xml: .*XML"):
        _heard(tmp_path / "bad.xml", content)


def test_an_encoding_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"

    assert _heard(path, "<a>µ</a>".encode("latin-1"), "iso-8859-1")[1] == ("a", "µ")


@pytest.mark.parametrize(
    ("encoding", "declared"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("latin-1", "latin-1")]
)
def test_text_is_read_in_its_own_encoding(tmp_path: Path, encoding: str, declared: str) -> None:
    text = f"<?xml version='1.0' encoding='{declared}'?><a>µ</a>"
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))

    assert read_text(tmp_path / "a.xml") == text


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("", "a.tif", "a.tif"),
        ("plate/Images", r".\sub\a.tif", "plate/Images/sub/a.tif"),
        ("plate", "../a.tif", "../a.tif"),
        ("plate", "/etc/passwd", "/etc/passwd"),
        ("plate", "https://host/a.tif", "https://host/a.tif"),
    ],
)
def test_only_names_that_lead_below_are_joined(folder: str, name: str, path: str) -> None:
    assert joined(folder, name) == path
