"""The class by which Bio-Formats reads files, changed to copy what it reads at once.

`loci.common.NIOFileHandle` (of Bio-Formats 7.3.1, and others) copies what it read byte by
byte, ``while (buf.hasRemaining()) buf.put(buffer.get())``, which takes longer than all else
that is done to read a plane, and twice as long in one process as in another. No handle that
Bio-Formats brings can stand in: one knows no byte order, another no more than 2 GB, and none
may be shared by two streams. So these 22 bytes of the class are exchanged as it is loaded,
for ``buffer.get(buf.array(), offset, length)``: whatever reads through it gets the same bytes
and the same errors. Only arrays come here: no reader of Bio-Formats has other buffers.
"""

import re
import struct

__all__ = ["CLASS_NAME", "with_bulk_reads"]

CLASS_NAME = "loci.common.NIOFileHandle"

# The loop, as `javap -c` shows it; numbers of constants are what is not told. What stands
# before it tells that the variable 4 holds how many bytes are to be read.
_LOOP = re.compile(
    rb"(?<=\x15\x04\x85\x61\xb5..)"  # iload 4, i2l, ladd, putfield position
    rb"\x2b\xb6(?:..)"  # aload_1, invokevirtual hasRemaining
    rb"\x99\x00\x2a"  # ifeq: behind the handler of exceptions
    rb"\x2b\x2a\xb4(?P<buffer>..)"  # aload_1, aload_0, getfield buffer
    rb"\xb6(?P<get>..)\xb6(?:..)\x57"  # invokevirtual get, put; pop
    rb"\xa7\xff\xed",  # goto: the first of these
    re.DOTALL,
)
# What takes its place: as long, and with instructions where the handler of exceptions
# begins and ends to hold, which makes an error of the file of too few bytes.
_COPY = (
    b"\x00\x00\x00\x2a\xb4%(buffer)b"  # aload_0, getfield buffer
    b"\x2b\xb6%(array)b"  # aload_1, invokevirtual array
    b"\x1c\x15\x04\xb6%(get)b\x57"  # iload_2, iload 4, invokevirtual get; pop
    b"\x00\xa7\x00\x1b"  # goto: behind the handler
)

_UTF8, _LONG, _DOUBLE = 1, 5, 6
# How long constants are by their kind, without that; a text tells it itself.
_SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4}
_SIZES |= {15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
_FIRST = 10


def with_bulk_reads(class_file: bytes) -> bytes | None:
    """Change the class to copy at once what it reads.

    Parameters
    ----------
    class_file
        Of `CLASS_NAME`, as it stands in the jar.

    Returns
    -------
    bytes or None
        The changed class; None if it is none that is known to need it.
    """
    loops = list(_LOOP.finditer(class_file))
    if len(loops) != 1:
        return None
    (loop,) = loops
    *places, end = _constants(class_file)
    count = len(places)
    (get,) = struct.unpack(">H", loop["get"])
    # A method begins with the constant that is its class.
    buffer_class = class_file[places[get] + 1 : places[get] + 3]
    added = _method(count, buffer_class, b"array", b"()[B")
    added += _method(count + 4, buffer_class, b"get", b"([BII)Ljava/nio/ByteBuffer;")
    copy = _COPY % {
        b"buffer": loop["buffer"],
        b"array": _number(count + 3),
        b"get": _number(count + 7),
    }
    return b"".join(
        [
            class_file[: _FIRST - 2],
            _number(count + 8),
            class_file[_FIRST:end],
            added,
            class_file[end : loop.start()],
            copy,
            class_file[loop.end() :],
        ]
    )


def _constants(class_file: bytes) -> list[int]:
    """Give where each constant begins, by its number, and then where they end."""
    (count,) = struct.unpack_from(">H", class_file, _FIRST - 2)
    # There is no constant 0.
    places, place = [_FIRST], _FIRST
    while len(places) < count:
        kind = class_file[place]
        # The long ones count twice.
        places += [place] * (2 if kind in (_LONG, _DOUBLE) else 1)
        place += 1 + (_text_size(class_file, place + 1) if kind == _UTF8 else _SIZES[kind])
    return [*places, place]


def _text_size(class_file: bytes, place: int) -> int:
    (size,) = struct.unpack_from(">H", class_file, place)
    return 2 + int(size)


def _method(number: int, class_number: bytes, name: bytes, kind: bytes) -> bytes:
    """Give four constants, of which the last is a method, and the first has this number."""
    texts = b"".join(bytes([_UTF8]) + _number(len(text)) + text for text in (name, kind))
    name_and_kind = b"\x0c" + _number(number) + _number(number + 1)
    return texts + name_and_kind + b"\x0a" + class_number + _number(number + 2)


def _number(value: int) -> bytes:
    return struct.pack(">H", value)
