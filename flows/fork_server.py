"""What the process loads from which Dask workers are forked; for it alone to be imported."""

import atexit
import contextlib
import gc
import os
from multiprocessing.forkserver import _forkserver
from pathlib import Path

from imextract.garbage import nothing_collected

# Now, while it is sure to be there.
_PARENT = os.getppid()

# As Dask sets them for workers that load NumPy themselves: one thread each.
for _name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

with nothing_collected():
    from flows import warm_up as _warm_up  # noqa: F401

# It stays: workers that looked for garbage in it would have to copy it, and
# the process itself would look through it once more before it ends.
gc.freeze()


def _tidy_after(parent: int) -> None:
    """Remove the socket that this process listened on, if its parent was killed.

    Else that does it. Forked workers do not come here: they run no `atexit` functions.
    """
    if os.getppid() != parent:
        # It has no public name.
        address: str = _forkserver._forkserver_address  # type: ignore[attr-defined]  # noqa: SLF001
        socket = Path(address)
        with contextlib.suppress(OSError):
            socket.unlink()
            # Made for it alone.
            socket.parent.rmdir()


atexit.register(_tidy_after, _PARENT)
