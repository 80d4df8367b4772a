"""What a process under attack does: commands of the command line, one after the other.

Imported by each such process; so nothing but the product is imported here.
"""

import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from imextract import write_behind
from imextract.cli.main import main


def work(
    commands: Sequence[Sequence[str]],
    environment: dict[str, str],
    log: Path,
    gate: Connection | None = None,
    user: int | None = None,
    writers: int | None = None,
) -> None:
    """Run commands until one fails, saying to a file what they say.

    Parameters
    ----------
    gate
        Nothing begins before something comes through here.
    user
        The id of the user who runs them, if not this one.
    writers
        How many threads store planes, if not as many as the product has.
    """
    if writers is not None:
        write_behind._WRITERS = writers
    os.environ.update(environment)
    with log.open("a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    if user is not None:
        os.setgid(user)
        os.setuid(user)
    if gate is not None:
        gate.recv_bytes()
    for command in commands:
        if code := main(command):
            sys.exit(code)
