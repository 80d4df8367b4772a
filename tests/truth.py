"""What an independent reading says of the planes of real microscope files."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TruePlane:
    """A plane's place in its file, its pixels' SHA-256 as little-endian bytes, its shape."""

    zplane: int
    channel: int
    tpoint: int
    sha256: str
    shape: tuple[int, int]
    dtype: str


def true_planes(data: Path, without: tuple[str, ...]) -> dict[tuple[str, int, int], TruePlane]:
    """Give planes by entry file (relative to `data`), series and plane.

    Entries that begin with one of `without`, or that cannot be opened, are left out.
    """
    found = {}
    for line in (data / "planes.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["entry"].startswith(without) or "error" in told:
            continue
        for index, series in enumerate(told["series"]):
            for plane in series["planes"]:
                zplane, channel, tpoint = plane["zct"]
                shape = (series["y"], series["x"])
                found[told["entry"], index, plane["i"]] = TruePlane(
                    zplane, channel, tpoint, plane["sha256"], shape, series["dtype"]
                )
    return found
