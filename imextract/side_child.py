"""The process beside: ``python -m imextract.side_child``.

Requests come on standard input and are answered in order on standard output.
What cannot be done is an answer; what nobody foresaw ends the process, as does
the end of its parent.
"""

import faulthandler
import logging
import os
import sys
from dataclasses import asdict
from typing import IO, Any

from imextract.compression import CompressionName
from imextract.config import Settings
from imextract.database.planes import PlaneRecord, read_planes
from imextract.errors import ImextractError
from imextract.proof import AT_ONCE, Proof
from imextract.readers.framing import read_message, write_message
from imextract.readers.lifeline import die_with_parent
from imextract.sources import SourceReader
from imextract.stored import adopt_plane, encode
from imextract.workplace import Workplace

__all__ = ["main"]


class _Session:
    """Answers requests; keeps what was opened for the last one."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._proof = Proof(place, threads=AT_ONCE)
        self._planes: dict[int, PlaneRecord] = {}
        self._reader: SourceReader | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request, with an error if it cannot be honoured."""
        try:
            return self._dispatch(request)
        except ImextractError as error:
            return {"error": {"kind": type(error).__name__, "text": str(error)}}

    def _dispatch(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.pop("do"):
            case "open":
                return self._open(**request)
            case "extract":
                return self._extract(**request)
            case "prove":
                return {"errors": list(self._proof.errors(**request).items())}
            case unknown:
                raise ValueError(f"no such request: {unknown!r}")

    def _open(self, plane_ids: list[int]) -> dict[str, Any]:
        with self._place.database.reading() as session:
            planes = read_planes(session, plane_ids)
        self._planes = {plane.id: plane for plane in planes}
        self._reader = SourceReader.of(self._place.database, self._place.settings, planes)
        return {}

    def _extract(
        self, plane_id: int, compression: CompressionName, assume_clean_state: bool
    ) -> dict[str, Any]:
        if self._reader is None:
            raise ValueError("no planes were opened")
        plane, store = self._planes[plane_id], self._place.store
        stamp = self._reader.stamp(plane)
        found = None if assume_clean_state else adopt_plane(store, plane, stamp)
        if found is not None:
            return {"stored": asdict(found), "bytes_in": None}
        encoded = encode(plane, self._reader.read(plane), compression, stamp)
        location, content = encoded.stored.location, encoded.content
        store.put(location, content, replaces=assume_clean_state)
        return {"stored": asdict(encoded.stored), "bytes_in": encoded.pixel_bytes}


def main(lifeline: int) -> None:
    """Answer requests until there are no more."""
    die_with_parent(lifeline)
    faulthandler.enable()
    # Whatever prints must not meddle with the answers.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # What happened is told by the answers, and logged by the parent.
    for name in ("imextract", "tifffile"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    _serve(sys.stdin.buffer, replies)


def _serve(requests: IO[bytes], replies: IO[bytes]) -> None:
    first = read_message(requests)
    if first is None:
        return
    session = _Session(Workplace.of(Settings.model_validate(first["settings"])))
    write_message(replies, {})
    while (request := read_message(requests)) is not None:
        write_message(replies, session.answer(request))


if __name__ == "__main__":
    main(int(sys.argv[1]))
