"""What a program has loaded, which stays until it ends: not for the garbage collector."""

import atexit
import functools
import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_at_the_end", "nothing_collected"]


@functools.cache
def keep_at_the_end() -> None:
    """Have nothing looked through for garbage when the program ends: all of it goes then."""
    atexit.register(gc.freeze)


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Look for no garbage while modules are loaded: there is none, and it takes a fifth of that."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
