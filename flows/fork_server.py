"""What the process loads from which Dask workers are forked; for it alone to be imported."""

import gc

from flows import warm_up as _warm_up  # noqa: F401

# It stays: workers that looked for garbage in it would have to copy it, and
# the process itself would look through it once more before it ends.
gc.freeze()
