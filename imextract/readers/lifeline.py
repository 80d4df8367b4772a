"""A process that never outlives its parent, even while it is busy.

The parent holds the writing end of a pipe and never writes. When the parent
is gone, however it went, the kernel sees the pipe closed.
"""

import fcntl
import os
import select
import signal
import threading

__all__ = ["die_with_parent"]

_F_SETSIG = 10  # Linux; Python has no name for it
_POLL_S = 1.0


def die_with_parent(lifeline: int) -> None:
    """End this process when the other end of the pipe `lifeline` is closed.

    javabridge holds Python's lock while Java works, so no thread of ours would
    notice in time: the kernel is asked to send SIGKILL by itself. A thread
    watches as well, for when a forked sibling of ours holds the pipe open.
    """
    parent = os.getppid()
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, _F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    threading.Thread(target=_watch, args=(lifeline, parent), daemon=True).start()


def _watch(lifeline: int, parent: int) -> None:
    while True:
        closed, _, _ = select.select([lifeline], [], [], _POLL_S)
        if closed or os.getppid() != parent:
            os._exit(0)
