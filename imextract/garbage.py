"""What a program has loaded, which stays until it ends: not for the garbage collector."""

import atexit
import functools
import gc

__all__ = ["keep_at_the_end"]


@functools.cache
def keep_at_the_end() -> None:
    """Have nothing looked through for garbage when the program ends: all of it goes then."""
    atexit.register(gc.freeze)
