"""``imextract simulate``: a plate to try things with."""

import argparse
from dataclasses import asdict
from pathlib import Path

from imextract.cli.output import print_json, print_line
from imextract.simulation import Faults, PlateLayout, layout_of_megabytes
from imextract.simulation import simulate as write_plate

__all__ = ["simulate"]

_COUNTS = ("wells", "sites", "channels", "zplanes", "tpoints", "height", "width", "seed", "plate")
_FAULTS = ("absent", "truncated", "duplicated", "thumbnails", "errors")


def simulate(options: argparse.Namespace) -> int:
    """Write a simulated plate."""
    given = {name: value for name in _COUNTS if (value := getattr(options, name)) is not None}
    layout = PlateLayout(**given)
    if options.megabytes is not None:
        layout = layout_of_megabytes(options.megabytes, layout)
    faults = Faults(**{name: getattr(options, name) for name in _FAULTS})
    plate = write_plate(Path(options.folder), options.microscope, layout, faults)
    if options.json:
        print_json(asdict(plate))
    else:
        print_line(f"{layout.plane_count} planes, {plate.pixel_bytes / 1e6:.1f} MB: {plate.entry}")
    return 0
