"""Storing a plane durably: directly, and by way of the system's memory."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.tables import Table
from imextract.durable import write_flushed

__all__ = ["tables"]

_WRITERS = 4
_WHOLE_BYTES = 768 * 2**20
_MOST_FILES = 400


def tables(bench: Bench) -> Iterator[Table]:
    """Compare the two ways by what they cost, for planes of some sizes."""
    table = Table(
        "What does it cost to write a file durably?",
        ("KiB", "CPU, memory : ours", "wall, memory : ours", "ours CPU ms", "ours wall ms"),
    )
    for kib in (64, 512, 1024, 4096):
        content = os.urandom(kib * 2**10)
        memory_cpu, memory_wall = _cost(bench, content, _write_by_memory)
        cpu, wall = _cost(bench, content, write_flushed)
        table.add(kib, memory_cpu / cpu, memory_wall / wall, 1000 * cpu, 1000 * wall)
    table.note = (
        f"{_WRITERS} files at a time, each written and flushed; per file. Small ones we write by "
        "way of the memory, too."
    )
    yield table


def _cost(
    bench: Bench, content: bytes, write: Callable[[Path, bytes], None]
) -> tuple[float, float]:
    """Give the CPU and wall seconds that a file takes."""
    folder = bench.folder / "writing"
    folder.mkdir()
    count = min(_MOST_FILES, _WHOLE_BYTES // len(content))
    paths = [folder / str(number) for number in range(count)]
    wall, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(_WRITERS) as threads:
        list(threads.map(write, paths, [content] * count))
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    shutil.rmtree(folder)
    return cpu / count, wall / count


def _write_by_memory(path: Path, content: bytes) -> None:
    with path.open("xb", buffering=0) as file:
        file.write(content)
        os.fsync(file.fileno())
