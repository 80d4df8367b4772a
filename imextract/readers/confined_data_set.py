"""A data set that Bio-Formats opens in a thread which can read only its folder."""

import functools
import os
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from imextract.readers import java
from imextract.readers.confinement import confine_reading
from imextract.readers.java_data_set import OpenDataSet

__all__ = ["ConfinedDataSet"]

P = ParamSpec("P")
T = TypeVar("T")

# What Java and Python read of the system while they run; of /etc only this.
_SYSTEM = ("/usr", "/lib", "/lib64", "/proc", "/sys", "/dev/null", "/dev/random", "/dev/urandom")
_OF_ETC = ("ld.so.cache", "localtime", "timezone", "java*")


class ConfinedDataSet:
    """An `OpenDataSet` and the thread that does all its work.

    The thread is confined before it opens anything: what metadata name outside
    `folders` cannot be read, by whatever way Bio-Formats tries. `opening_s` is how long
    it took to open, in seconds.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._opened: OpenDataSet | None = None
        self.opening_s = 0.0
        self._run(_enter, [*map(Path, folders), *_system_places()])

    @classmethod
    def open(cls, path: str, folders: Iterable[str], *, with_metadata: bool = False) -> Self:
        """Open the data set of a file, as `OpenDataSet`."""
        started = time.monotonic()
        data_set = cls(folders)
        try:
            data_set._opened = data_set._run(OpenDataSet, path, with_metadata=with_metadata)
            data_set.opening_s = time.monotonic() - started
        except BaseException:
            data_set.close()
            raise
        return data_set

    def ask(self, function: Callable[[OpenDataSet], T]) -> T:
        """Let the thread ask something of its data set."""
        if self._opened is None:
            raise ValueError("the data set is closed")
        return self._run(function, self._opened)

    def close(self) -> None:
        """Close the data set and end the thread."""
        if self._opened is not None:
            self._run(self._opened.close)
        self._run(java.detach)
        self._thread.shutdown()

    def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return self._thread.submit(function, *args, **kwargs).result()


def _enter(places: Iterable[Path]) -> None:
    confine_reading(places)
    java.attach()


@functools.cache
def _system_places() -> tuple[Path, ...]:
    named = (*_SYSTEM, sys.prefix, sys.base_prefix, os.environ.get("TMPDIR", ""))
    # The configuration of a packaged JDK lies there; nobody's passwords.
    of_etc = (place for pattern in _OF_ETC for place in Path("/etc").glob(pattern))
    return (
        *(Path(name) for name in named if name),
        *of_etc,
        Path(os.environ["JAVA_HOME"]).resolve(),
        *(Path(jar) for jar in java.jars()),
        # Where this code lies, should it not be installed.
        Path(__file__).parents[1],
    )
