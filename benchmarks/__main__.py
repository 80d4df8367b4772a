"""Answers all questions, a table or more each: ``python -m benchmarks [--quick] [--only NAME]``.

``--quick --tools --only peers`` sees that every other tool still runs, with few planes.
"""

import argparse
import datetime as dt
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import (
    extraction,
    memory,
    overheads,
    peers,
    presets,
    readers,
    reading,
    scaling,
    writing,
)
from benchmarks.bench import REAL_FILES, Bench
from benchmarks.machine import describe_machine
from benchmarks.tables import Table

QUESTIONS: dict[str, Callable[[Bench], Iterator[Table]]] = {
    "extraction": extraction.tables,
    "peers": peers.tables,
    "reading": reading.tables,
    "readers": readers.tables,
    "presets": presets.tables,
    "writing": writing.tables,
    "overheads": overheads.tables,
    "scaling": scaling.tables,
    "memory": memory.tables,
}
RESULTS = Path(__file__).with_name("results.md")


def main() -> int:
    """Answer the questions and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few planes, no other tools")
    parser.add_argument("--tools", action="store_true", help="other tools even if quick")
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="this question alone")
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured")
    parser.add_argument("--data", type=Path, default=REAL_FILES, help="folder of real files")
    parser.add_argument("--output", type=Path, help="file of the results")
    options = parser.parse_args()
    # All programs find their modules compiled, as users do.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    lines = [
        "# Results",
        "",
        f"`{_command(options)}`, {_now()}:",
        "",
        *describe_machine(),
        "",
    ]
    failed = 0
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="imextract-bench-", dir=options.folder) as folder:
        has_tools = options.tools or not options.quick
        bench = Bench(Path(folder), options.quick, has_tools, options.data)
        for name in options.only or QUESTIONS:
            start = time.monotonic()
            try:
                lines.extend(table.markdown() for table in QUESTIONS[name](bench))
            except Exception as error:  # noqa: BLE001  a fence: the other answers are kept
                traceback.print_exc()
                lines.append(f"## {name}\n\nNot measured: {type(error).__name__}: {error}\n")
                failed += 1
            print(f"{name}: answered in {time.monotonic() - start:.0f} s", flush=True)
            _write(lines, options)
    return 1 if failed else 0


def _command(options: argparse.Namespace) -> str:
    if not options.only and not options.tools:
        return "make bench-quick" if options.quick else "make bench"
    flags = [flag for flag in ("quick", "tools") if getattr(options, flag)]
    only = [f"only {name}" for name in options.only or ()]
    return " ".join(["python -m benchmarks", *(f"--{option}" for option in flags + only)])


def _now() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _write(lines: list[str], options: argparse.Namespace) -> None:
    text = "\n".join(lines)
    if options.output or not (options.quick or options.only):
        (options.output or RESULTS).write_text(text, encoding="utf-8")
    else:
        print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
