"""What a run has loaded: not looked at again by the garbage collector while it lasts."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from imextract.garbage import keep_at_the_end

__all__ = ["loaded_is_kept"]


@contextmanager
def loaded_is_kept() -> Iterator[None]:
    """Spare the garbage collector what is loaded by now, and again at the end of the program.

    It stays until then, and would be looked through again and again, longest
    of all at the end: half a second. In between, whoever called the flow has
    his garbage collected as before.
    """
    if gc.get_freeze_count():
        # By somebody else, or by a run around this one: theirs to end.
        yield
        return
    gc.freeze()
    keep_at_the_end()
    try:
        yield
    finally:
        gc.unfreeze()
