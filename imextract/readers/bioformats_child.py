"""The process that runs Bio-Formats: ``python -m imextract.readers.bioformats_child``.

It is disposable. Requests come on standard input and are answered in order on
standard output; pixels go through shared memory. It ends with its parent.
"""

import json
import os
import resource
import sys
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from imextract.allocator import keep_memory
from imextract.readers import java
from imextract.readers.confined_data_set import ConfinedDataSet
from imextract.readers.confinement import confine_writing
from imextract.readers.expected import MOST_OPEN
from imextract.readers.framing import read_message, write_message
from imextract.readers.java_data_set import NoSuchPlaneError, OpenDataSet, StructureChangedError
from imextract.readers.java_exercise import exercise_java
from imextract.readers.lifeline import die_with_parent
from imextract.readers.slots import SlotView

__all__ = ["main"]

# What is told of a Java exception, by its class.
_KINDS = {
    "loci.formats.UnknownFormatException": "unknown_format",
    "java.lang.OutOfMemoryError": "memory",
}

_NO_TIME_S = 0.1


class Session:
    """Answers requests; keeps the data sets used last open."""

    def __init__(self, slots: Sequence[SlotView]) -> None:
        self._slots = slots
        self._logs = java.LogRecords()
        self._open: OrderedDict[tuple[object, ...], ConfinedDataSet] = OrderedDict()
        self._opened = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request, with an error if it cannot be honoured."""
        self._logs.drain()
        try:
            reply = self._dispatch(request)
        except Exception as error:  # noqa: BLE001 - the fence: every error becomes an answer
            reply = {"error": _explain(error)}
            if reply["error"]["kind"] == "memory":
                self._forget()
        return {**reply, "warnings": self._logs.drain()}

    def _dispatch(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.pop("do"):
            case "inspect":
                return self._inspect(**request)
            case "open":
                return self._data_set(**request["place"]).ask(OpenDataSet.describe)
            case "series_files":
                series, data_set = request["series"], self._data_set(**request["place"])
                return {"files": data_set.ask(lambda opened: opened.series_files(series))}
            case "read":
                return self._read(**request)
            case "warm_up":
                exercise_java()
                return {}
            case "stats":
                return {"opened": self._opened, "open": len(self._open)}
            case unknown:
                raise ValueError(f"no such request: {unknown!r}")

    def _inspect(self, path: str, folders: list[str]) -> dict[str, Any]:
        self._let_go(path)
        opened = ConfinedDataSet.open(path, folders, with_metadata=True)
        data_set = self._keep(_key(path, "", folders), opened)
        return {**data_set.ask(OpenDataSet.describe), "ome_xml": data_set.ask(OpenDataSet.ome_xml)}

    def _read(
        self,
        series: int,
        plane: int,
        slot: int,
        expected: dict[str, Any],
        place: dict[str, Any],
    ) -> dict[str, Any]:
        data_set = self._data_set(**place)
        # Records of an opening say nothing of the plane that is read next.
        self._logs.drain()
        pixels, unwritten = data_set.ask(lambda opened: opened.read(series, plane, expected))
        memory = self._slots[slot].memory()
        memory[: pixels.nbytes] = pixels.data
        return {"size": pixels.nbytes, "unwritten": unwritten}

    def _data_set(self, path: str, stamp: str, folders: list[str]) -> ConfinedDataSet:
        key = _key(path, stamp, folders)
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        return self._keep(key, ConfinedDataSet.open(path, folders))

    def _let_go(self, path: str) -> None:
        """Close a file, and all that can be opened again in no time.

        Files are inspected by the thousand, each once: what is kept of those before, Java
        would move about in memory again and again.
        """
        for key, data_set in list(self._open.items()):
            if key[0] == path or data_set.opening_s < _NO_TIME_S:
                self._open.pop(key).close()

    def _forget(self) -> None:
        """Let go of all data sets: one that ran out of memory is not to be trusted."""
        while self._open:
            self._open.popitem()[1].close()

    def _keep(self, key: tuple[object, ...], data_set: ConfinedDataSet) -> ConfinedDataSet:
        self._opened += 1
        self._open[key] = data_set
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return data_set


def _key(path: str, stamp: str, folders: Sequence[str]) -> tuple[object, ...]:
    found = Path(path).stat()
    # Another file in its place shows by its inode, whatever its size and time.
    seen = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return path, *seen, stamp, *folders


def _explain(error: Exception) -> dict[str, str]:
    if isinstance(error, java.JavaException):
        name, message = java.describe(error)
        return {"kind": _KINDS.get(name, "java"), "message": f"{name}: {message}".rstrip(": ")}
    if isinstance(error, NoSuchPlaneError):
        return {"kind": "no_plane", "message": str(error)}
    if isinstance(error, StructureChangedError):
        return {"kind": "mismatch", "message": str(error)}
    return {"kind": "python", "message": f"{type(error).__name__}: {error}"}


def _claim_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the two pipes for messages; whatever Java prints goes to stderr."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, replies


def _serve(
    lifeline: int, slots: Sequence[int], heap_mb: int, scratch: str, *, is_brief: bool
) -> None:
    die_with_parent(lifeline)
    # Before Java has any thread, so that all of them are.
    is_confined = confine_writing([Path(scratch), Path("/dev/null")])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, replies = _claim_pipes()
    keep_memory()
    java.start_java(heap_mb, scratch, is_brief=is_brief)
    session = Session([SlotView(descriptor) for descriptor in slots])
    write_message(replies, {"ready": True, "confined": is_confined})
    while (request := read_message(requests)) is not None:
        # Should this process die, the parent knows which request was at fault.
        write_message(replies, {"begun": True})
        write_message(replies, session.answer(request))


def main() -> None:
    """Serve until the parent is gone."""
    code = 1
    try:
        _serve(**json.loads(sys.argv[1]))
        code = 0
    except BaseException:  # noqa: BLE001 - the last fence: a process with Java in it must not linger
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # An orderly exit would wait for Java for ever.
        os._exit(code)


if __name__ == "__main__":
    main()
