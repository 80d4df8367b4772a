"""What a run has loaded: not looked at again."""

import functools
import gc

__all__ = ["keep_loaded"]


@functools.cache
def keep_loaded() -> None:
    """Spare the garbage collector what is loaded by now; does nothing beyond the first call.

    It stays until the program ends, and would be looked through again and
    again, longest of all at the end: half a second.
    """
    gc.freeze()
