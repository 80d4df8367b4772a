"""On what a benchmark ran: its numbers mean nothing without it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

__all__ = ["describe_machine"]

_PACKAGES = (
    "imextract", "prefect", "prefect-dask", "distributed", "sqlalchemy", "h5py", "hdf5plugin",
    "imagecodecs", "tifffile", "numpy", "python-bioformats", "python-javabridge",
)  # fmt: skip


def describe_machine() -> list[str]:
    """Give the machine, its load and the versions of what ran, as lines of Markdown."""
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return [
        f"* {_processor()}, {cores} cores, {memory:.0f} GiB, {platform.platform()}",
        f"* load of the last 1, 5 and 15 minutes as it began: {load}",
        f"* Python {platform.python_version()}, {versions}",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
