"""``imextract N metadata``: what the vendors' own files say."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from imextract.cli.output import print_json, print_line, print_table
from imextract.database.experiments import get_experiment
from imextract.database.metadata_texts import KeptMetadata, kept_metadata, metadata_text
from imextract.errors import ConfigError
from imextract.workplace import Workplace

__all__ = ["metadata"]

_COLUMNS = ("plate", "acquisition", "microscope_type", "objective", "file", "stored_bytes")


def metadata(options: argparse.Namespace) -> int:
    """List the metadata that are kept, or show those of one file."""
    with Workplace.of().database.reading() as session:
        get_experiment(session, options.experiment_id)
        kept = list(kept_metadata(session, options.experiment_id))
        if options.file is None:
            _print_list(kept, as_json=options.json)
            return 0
        chosen = _of_file(kept, options.file)
        text = metadata_text(session, chosen)
    if options.json:
        print_json(asdict(chosen) | {"text": text})
    else:
        print_line(text)
    return 0


def _print_list(kept: Sequence[KeptMetadata], *, as_json: bool) -> None:
    rows = [asdict(one) for one in kept]
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, ([row[name] for name in _COLUMNS] for row in rows))


def _of_file(kept: Iterable[KeptMetadata], name: str) -> KeptMetadata:
    """Give what is kept of a file; of several acquisitions of one file, it is the same."""
    found = {one.file: one for one in kept if one.file.match(name)}
    if len(found) == 1:
        return next(iter(found.values()))
    count = f"{len(found)} files of that name are kept" if found else "nothing is kept of it"
    raise ConfigError(
        f"--file {name!r}: {count}; expected one that `imextract N metadata` lists, with as much "
        "of its path as tells it from others"
    )
