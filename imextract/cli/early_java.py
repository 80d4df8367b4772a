"""``imextract register``, with Java starting while Python loads the rest, which takes as long."""

import argparse
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.garbage import nothing_collected
from imextract.readers.bioformats_process import shared_process

__all__ = ["register"]


def register(options: argparse.Namespace) -> int:
    """Register a folder, or show what would be registered."""
    if options.check and Path(options.folder).is_dir():
        # What stands against it is told by who needs it.
        with suppress(ImextractError):
            shared_process(Settings.from_environment().registering()).begin()
    with nothing_collected():
        loaded = import_module("imextract.cli.register")
    code: int = loaded.register(options)
    return code
