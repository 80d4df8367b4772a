"""Confining a thread to some folders, by the kernel (Landlock, from Linux 5.13).

Metadata of microscope files name other files, and what Bio-Formats is told it
opens: a relative path that leads out, an absolute one, a URL. What it may open
is decided here, by the only one who sees every name in the end.

A thread that is confined stays so, and so do the threads that it starts. Where
the kernel has no Landlock nothing is confined, and the files that Bio-Formats
says it used are all that is checked (`bioformats.py`).
"""

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["confine_reading", "confine_writing"]

# Of every architecture (asm-generic/unistd.h, linux/landlock.h, linux/prctl.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_TELL_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38

_READ_FILE = 1 << 2
_WRITE_FILE = 1 << 1
_OF_FILES = _READ_FILE | _WRITE_FILE | 1 << 14
# Writing, removing and making files of every kind; then renaming, truncating.
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
_CHANGES_SINCE = {2: 1 << 13, 3: 1 << 14}
_TCP = 0b11
_TCP_SINCE = 4

_libc = ctypes.CDLL(None, use_errno=True)


def confine_reading(places: Iterable[Path]) -> bool:
    """Let this thread read no file but those that are, or lie below, some places.

    Returns
    -------
    bool
        Whether it is so: False where the kernel cannot.

    Raises
    ------
    OSError
        If the kernel can, but refuses.
    """
    return _confine(_READ_FILE, 0, places)


def confine_writing(places: Iterable[Path]) -> bool:
    """Let this thread change nothing but what lies below some places, and use no TCP.

    Returns
    -------
    bool
        Whether it is so: False where the kernel cannot. Kernels before 6.7 do
        not confine TCP.

    Raises
    ------
    OSError
        If the kernel can, but refuses.
    """
    version = _version()
    changes = _CHANGES | sum(bit for since, bit in _CHANGES_SINCE.items() if version >= since)
    return _confine(changes, _TCP if version >= _TCP_SINCE else 0, places)


def _version() -> int:
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _TELL_VERSION)
    return max(version, 0)


def _confine(files: int, network: int, places: Iterable[Path]) -> bool:
    if _version() < 1:
        return False
    with _ruleset(files, network) as ruleset:
        for place in places:
            _allow(ruleset, place, files)
        _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _check(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    return True


@contextlib.contextmanager
def _ruleset(files: int, network: int) -> Iterator[int]:
    # The shorter form is the one that kernels without the network know.
    handled = struct.pack("=QQ", files, network) if network else struct.pack("=Q", files)
    size = ctypes.c_size_t(len(handled))
    ruleset = _check(_libc.syscall(_CREATE_RULESET, handled, size, 0))
    try:
        yield ruleset
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: Path, rights: int) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # What is not there, or out of reach, needs no leave.
        return
    try:
        given = rights if place.is_dir() else rights & _OF_FILES
        rule = struct.pack("=Qi", given, descriptor)
        _check(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel refuses to confine a thread: {os.strerror(number)}")
    return result
