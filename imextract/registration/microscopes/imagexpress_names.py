"""Names of the files of an ImageXpress plate, and of the folders they lie in."""

import re
from dataclasses import dataclass

from imextract.registration.wells import is_well_name, parse_well_name, well_name

__all__ = ["ImageName", "parse_image_path", "plate_root"]

_GUID = "[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
# The well ends with digits, and a wave's number may be followed by a GUID that
# begins with digits: only its fixed length tells them apart.
_NAME = re.compile(
    "(?P<plate>.+?)_(?P<well>[A-Z]{1,2}[0-9]{1,2})(?:_s(?P<site>[0-9]{1,6}))?"
    f"(?:_w(?P<wave>[0-9]{{1,3}}))?(?P<thumb>_thumb)?(?P<guid>{_GUID})?[.]tiff?",
    re.IGNORECASE | re.DOTALL,
)
_STEP = re.compile("(?P<kind>TimePoint|ZStep)_(?P<number>[0-9]{1,6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageName:
    """What the path of an image says.

    Numbers are the microscope's own, sites, waves and time points from 1;
    None where the path tells none. ZStep 0 is the projection of the others.
    """

    root: str
    plate: str
    well: str
    site: int | None
    wave: int | None
    tpoint: int | None
    zstep: int | None
    is_thumbnail: bool
    has_guid: bool


def plate_root(folder: str) -> str:
    """Give the folder of a plate, from one of its TimePoint_n and ZStep_n folders."""
    parts = folder.split("/") if folder else []
    while parts and _STEP.fullmatch(parts[-1]):
        parts.pop()
    return "/".join(parts)


def parse_image_path(path: str) -> ImageName | None:
    """Read the path of an image; None where it is not named as ImageXpress does."""
    folder, _, name = path.rpartition("/")
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    well = _well(match["well"])
    if well is None:
        return None
    steps = _steps(folder)
    return ImageName(
        root=plate_root(folder),
        plate=match["plate"],
        well=well,
        site=_number(match["site"]),
        wave=_number(match["wave"]),
        tpoint=steps.get("timepoint"),
        zstep=steps.get("zstep"),
        is_thumbnail=match["thumb"] is not None,
        has_guid=match["guid"] is not None,
    )


def _steps(folder: str) -> dict[str, int]:
    steps: dict[str, int] = {}
    for part in reversed(folder.split("/")):
        match = _STEP.fullmatch(part)
        if match is None:
            break
        steps.setdefault(match["kind"].lower(), int(match["number"]))
    return steps


def _well(text: str) -> str | None:
    try:
        name = well_name(*parse_well_name(text))
    except ValueError:
        return None
    return name if is_well_name(name) else None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
