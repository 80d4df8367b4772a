"""The changed class reads files as the one of the jar does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from imextract.readers.java_home import find_java_home
from tests.support import noise

SIZE = 3 * 2**20
# Where in the file, where in the array, and how many bytes: more than the class keeps of a
# file, less, from what it keeps already, to the end of the file, beyond that, and behind it.
READS = [
    (5, 3, 2_000_000),
    (0, 0, 10),
    (7, 1, 20),
    (7, 5, 0),
    (SIZE - 4, 0, 4),
    (SIZE - 4, 2, 100),
    (0, 0, SIZE),
    (SIZE, 0, 5),
    (SIZE + 10, 0, 5),
]

_SCRIPT = """
import json, os, sys, traceback, zlib
import numpy as np
from imextract.readers import java
from imextract.readers.bulk_reads import CLASS_NAME


def read(handle, place, offset, length):
    array = java.byte_array(np.full(offset + length, 7, np.uint8))
    try:
        java.call(handle, "seek", "(J)V", place)
        count = java.call(handle, "read", "([BII)I", array, offset, length)
    except java.JavaException as error:
        return java.describe(error)
    content = java.static("java/util/Arrays", "copyOf", "([BI)[B", array, offset + length)
    position = java.call(handle, "getFilePointer", "()J")
    return count, zlib.crc32(np.asarray(content).tobytes()), position


def came_from():
    domain = "()Ljava/security/ProtectionDomain;"
    found = java.call(java.class_of(CLASS_NAME), "getProtectionDomain", domain)
    source = java.call(found, "getCodeSource", "()Ljava/security/CodeSource;")
    url = java.call(source, "getLocation", "()Ljava/net/URL;")
    return url and java.text(url, "toString")


try:
    folder, is_changed, reads = sys.argv[1], *json.loads(sys.argv[2])
    if not is_changed:
        java.with_bulk_reads = lambda _: None
    java.start_java(64, folder)
    names = "(Ljava/lang/String;Ljava/lang/String;)V"
    handle = java.new(CLASS_NAME.replace(".", "/"), names, f"{folder}/file", "r")
    told = [came_from(), [read(handle, *one) for one in reads]]
    with open(f"{folder}/told", "w") as file:
        json.dump(told, file)
except BaseException:
    traceback.print_exc()
finally:
    # A process with Java in it does not end by itself.
    os._exit(0)
"""


def ask_java(folder: Path, *, is_changed: bool) -> tuple[str | None, list[Any]]:
    """Have a Java of its own read a file, and tell where its class is from, and what it read."""
    (folder / "file").write_bytes(noise(SIZE, dtype="uint8").data)
    environment = {**os.environ, "JAVA_HOME": str(find_java_home())}
    given = [str(folder), json.dumps([is_changed, READS])]
    subprocess.run(
        [sys.executable, "-c", _SCRIPT, *given], env=environment, timeout=100, check=True
    )
    source, read = json.loads((folder / "told").read_text())
    return source, read


def test_the_changed_class_reads_as_that_of_the_jar(tmp_path: Path) -> None:
    (tmp_path / "jar").mkdir()
    source, expected = ask_java(tmp_path / "jar", is_changed=False)
    assert source is not None
    (tmp_path / "changed").mkdir()
    source, read = ask_java(tmp_path / "changed", is_changed=True)
    assert source is None, "the class in use is not the changed one"
    assert read == expected
    assert [count for count, *_ in read[:-1]] == [2_000_000, 10, 20, 0, 4, 4, SIZE, 0]
