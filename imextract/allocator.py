"""Memory that is used again and again, kept between planes."""

import ctypes
import functools
import logging

__all__ = ["keep_memory"]

logger = logging.getLogger(__name__)

# Of glibc's mallopt(3). Larger blocks than 32 MiB it always gives back.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 128 * 2**20
_LARGEST_KEPT_BYTES = 32 * 2**20
# By itself each thread gets one, up to eight a core, and each would keep some planes.
_ARENAS = 2


@functools.cache
def keep_memory() -> None:
    """Let this process keep some freed memory; does nothing beyond the first call.

    Dask has its workers give back at once whatever is freed
    (`MALLOC_TRIM_THRESHOLD_`), and the system has to clear every page of every
    array anew: extraction then takes twice the processor time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        # Not glibc, which alone would be told.
        return
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    mallopt(_ARENA_MAX, _ARENAS)
    logger.debug("keeping up to %d bytes of freed memory", _KEPT_BYTES)
