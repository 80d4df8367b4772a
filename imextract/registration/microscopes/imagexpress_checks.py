"""What a person should know about an ImageXpress plate before it is registered."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from imextract.errors import SourceFileError
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import Problem
from imextract.registration.microscopes.htd import KNOWN_VERSION, LARGEST_HTD, Htd
from imextract.registration.microscopes.imagexpress_images import Images
from imextract.registration.microscopes.imagexpress_names import parse_image_path
from imextract.registration.microscopes.metaseries import Metaseries
from imextract.registration.vendor_text import read_text

__all__ = [
    "differing_copies",
    "filed_projections",
    "newer_version",
    "projection_problems",
    "undeclared",
]


def projection_problems(images: Images) -> Iterator[Problem]:
    if not images.projections:
        return
    count = len(images.projections)
    text = f"{count} projections of z-stacks (ZStep_0, or beside ZStep_n folders): left out"
    yield Problem("warning", images.projections[0], text)
    projected = {
        (name.wave or 1) - 1 for path in images.projections if (name := parse_image_path(path))
    }
    for wave in sorted(projected - images.waves()):
        text = f"wave w{wave + 1} is there as projections only (ZStep_0): it is left out"
        yield Problem("warning", None, text)


def filed_projections(images: Images, facts: Mapping[str, Metaseries]) -> Iterator[Problem]:
    """Name waves of which only the projection was kept, filed as if it were a plane."""
    projected: defaultdict[int, list[str]] = defaultdict(list)
    for index, paths in images.of_index.items():
        projected[index.wave].extend(path for path in paths if facts[path].is_projection)
    for wave, paths in sorted(projected.items()):
        if paths:
            text = (
                f"{len(paths)} images of wave w{wave + 1} say of themselves that they are "
                "projections of a z-stack: registered as the planes that they are filed as"
            )
            yield Problem("warning", paths[0], text)


def differing_copies(found: FoundFiles, htds: Sequence[str], entry: str) -> Iterator[Problem]:
    if len(htds) < 2:
        return
    first = read_text(found.folder / entry, LARGEST_HTD)
    for path in htds:
        try:
            is_same = read_text(found.folder / path, LARGEST_HTD) == first
        except SourceFileError:
            is_same = False
        if not is_same:
            yield Problem("warning", path, f"differs from {entry}, which is believed")


def newer_version(entry: str, htd: Htd) -> Iterator[Problem]:
    """Name a version of the HTD that was not known when this was written."""
    if htd.version != KNOWN_VERSION:
        text = (
            f"is of {htd.version!r}, which may mean other things than {KNOWN_VERSION!r}: "
            "check what the dry run shows"
        )
        yield Problem("warning", entry, text)


def undeclared(entry: str, htd: Htd, images: Images) -> Iterator[Problem]:
    """Name images that the HTD does not declare; they are registered as they are named."""
    limits = {
        "site": htd.site_count,
        "wave": len(htd.waves),
        "tpoint": htd.tpoints,
        "zstep": htd.zsteps,
    }
    wells = frozenset(htd.wells)
    outside: Counter[str] = Counter()
    example: dict[str, str] = {}
    for index, paths in images.of_index.items():
        beyond = [name for name, limit in limits.items() if getattr(index, name) >= limit]
        if index.well not in wells:
            beyond.append("well")
        for name in beyond:
            outside[name] += len(paths)
            example.setdefault(name, paths[0])
    for name, count in outside.items():
        text = (
            f"{count} images are of a {name} that {entry} does not declare, such as this: "
            "registered all the same"
        )
        yield Problem("warning", example[name], text)
    for well in sorted({index.well for index in images.of_index} - wells):
        if not htd.has_well(well):
            text = f"well {well} lies outside the plate of {htd.rows} x {htd.columns} wells"
            yield Problem("error", entry, text)
