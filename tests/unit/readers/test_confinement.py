"""A confined process reads, writes and connects where it may, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

_READING = """
import sys, threading
from pathlib import Path
from imextract.readers.confinement import confine_reading
inside, outside = map(Path, sys.argv[1:])
def read():
    if not confine_reading([inside.parent, inside.parent / "nothing there"]):
        print("no Landlock"); return
    print(inside.read_text())
    try:
        outside.read_text()
    except PermissionError:
        print("refused")
thread = threading.Thread(target=read)
thread.start()
thread.join()
print(outside.read_text())
"""

_WRITING = """
import socket, sys
from pathlib import Path
from imextract.readers.confinement import confine_writing
inside, outside = map(Path, sys.argv[1:])
listening = socket.create_server(("127.0.0.1", 0))
if not confine_writing([inside.parent]):
    print("no Landlock"); sys.exit()
inside.write_text("new")
print(outside.read_text())
for attempt in (
    lambda: outside.write_text("new"),
    lambda: outside.unlink(),
    lambda: (outside.parent / "more").mkdir(),
    lambda: socket.create_connection(listening.getsockname()),
):
    try:
        attempt()
    except PermissionError:
        print("refused")
"""


def run(program: str, folder: Path) -> list[str]:
    inside, outside = folder / "mine" / "file", folder / "theirs" / "file"
    for file in (inside, outside):
        file.parent.mkdir()
        file.write_text(file.parent.name)
    command = [sys.executable, "-c", program, str(inside), str(outside)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.split("\n")[:-1]
    if "no Landlock" in lines:
        pytest.skip("this kernel has no Landlock")
    return lines


def test_one_thread_is_confined_and_the_others_are_not(tmp_path: Path) -> None:
    assert run(_READING, tmp_path) == ["mine", "refused", "theirs"]


def test_nothing_outside_is_changed_and_nobody_is_called(tmp_path: Path) -> None:
    lines = run(_WRITING, tmp_path)
    assert lines[0] == "theirs"
    # Kernels before 6.7 let TCP pass.
    assert lines[1:] in (["refused"] * 4, ["refused"] * 3)
    assert (tmp_path / "theirs" / "file").read_text() == "theirs"
