"""Messages on a pipe: a length of four bytes, then that much JSON."""

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

__all__ = ["read_message", "write_message"]

_LENGTH = struct.Struct(">I")


def write_message(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write one message and flush it."""
    # ASCII-only JSON keeps the lone surrogates of odd file names.
    body = json.dumps(message).encode("ascii")
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def read_message(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message, or None when the other side is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    if len(body) < length:
        return None
    message: dict[str, Any] = json.loads(body)
    return message
