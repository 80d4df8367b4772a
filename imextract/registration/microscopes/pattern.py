"""Plainly numbered files, by a pattern of their names."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.channels import add_channels, image_channels
from imextract.registration.file_names import GROUPS, NamePattern, ParsedName
from imextract.registration.files import FoundFiles, first_reasons, is_empty
from imextract.registration.images import ImageRows, SitePosition, site_grids
from imextract.registration.manifest import ChannelInfo, Manifest, Problem, SiteInfo, SiteKey
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.numbered_file import NumberedFile
from imextract.registration.numbered_files import NumberedFiles
from imextract.registration.numbering import Numbering
from imextract.registration.options import ManifestOptions
from imextract.registration.patterns import pattern_text

__all__ = ["claim", "read"]

logger = logging.getLogger(__name__)

_DEFAULT_CHANNEL = "1"
_WELL = frozenset({"w", "wr", "wc"})
_DIMENSIONS = {"z": "zplanes", "c": "channels", "t": "tpoints"}


@dataclass(frozen=True, slots=True)
class _Named:
    """A file whose name and headers were read."""

    path: str
    name: ParsedName
    file: NumberedFile


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim all files: the pattern tells which of them are images."""
    return [Claim("", next(iter(found.files)), frozenset(found.files))] if found.files else []


def read(
    found: FoundFiles,
    claim: Claim,  # noqa: ARG001  all files are claimed
    options: ManifestOptions,
    settings: Settings,
) -> Manifest:
    """Read every file whose name the pattern matches.

    Raises
    ------
    RegistrationError
        If there is no pattern, it makes no sense, or no file matches or opens.
    """
    if options.pattern is None:
        raise RegistrationError("microscope type 'pattern' needs a pattern; give --pattern REGEX")
    pattern = NamePattern(pattern_text(options.pattern))
    manifest = Manifest(found.folder, "pattern", problems=list(found.problems))
    names = _match_names(found, pattern, manifest.problems)
    named = _open_files(found, names, manifest.problems, settings)
    accepted = [one for one in named if not _conflicts(one, manifest.problems)]
    if not accepted:
        reasons = first_reasons(manifest.problems)
        raise RegistrationError(
            f"{found.folder}: no file that matches the pattern can be registered{reasons}; "
            "correct the pattern or give another folder"
        )
    _add_files(found, manifest, accepted, options)
    logger.info("%s: %d of %d files match", found.folder, len(names), len(found.files))
    return manifest


def _match_names(
    found: FoundFiles, pattern: NamePattern, problems: list[Problem]
) -> dict[str, ParsedName]:
    names: dict[str, ParsedName] = {}
    refused: dict[str, str] = {}
    unmatched = []
    lacking: defaultdict[str, list[str]] = defaultdict(list)
    for path in found.files:
        match = pattern.match(path)
        if match is None:
            unmatched.append(path)
            continue
        for group in pattern.groups:
            if not match[group]:
                lacking[group].append(path)
        try:
            names[path] = pattern.parse(match)
        except ValueError as error:
            # One line for each text, not for each of thousands of files.
            refused.setdefault(str(error), path)
    problems.extend(Problem("error", path, text) for text, path in refused.items())
    problems.extend(_partly_told(lacking, len(names)))
    if not names and not refused:
        groups = ", ".join(GROUPS)
        raise RegistrationError(
            f"pattern {pattern.text!r} matches none of the {len(found.files)} files of "
            f"{found.folder}, such as {unmatched[0]!r}; the groups are {groups}"
        )
    if unmatched:
        text = f"{len(unmatched)} files do not match the pattern: left out, such as {unmatched[0]}"
        problems.append(Problem("warning", None, text))
    return names


def _partly_told(lacking: Mapping[str, Sequence[str]], count: int) -> Iterator[Problem]:
    """Name groups that only some names have: what the others are is anyone's guess."""
    for group, paths in sorted(lacking.items()):
        if len(paths) < count:
            text = (
                f"{len(paths)} of {count} names, such as this, do not tell group {group} "
                f"({GROUPS[group]}), which others tell: leave them out by a narrower pattern, or "
                "correct what a manifest says of them"
            )
            yield Problem("error" if group in _WELL else "warning", paths[0], text)


def _open_files(
    found: FoundFiles, names: dict[str, ParsedName], problems: list[Problem], settings: Settings
) -> list[_Named]:
    named = []
    holding = [path for path in names if not is_empty(found.files[path])]
    with NumberedFiles(found, holding, settings) as files:
        for path, name in names.items():
            if is_empty(found.files[path]):
                problems.append(Problem("warning", path, "is empty: left out"))
                continue
            try:
                file = files.open(path)
            except OSError as error:
                text = f"cannot be opened: left out ({error})"
                problems.append(Problem("warning", path, text))
                continue
            problems.extend(Problem("warning", path, text) for text in file.warnings)
            problems.extend(file.candidate.problems if file.candidate else ())
            named.append(_Named(path, name, file))
    return named


def _conflicts(one: _Named, problems: list[Problem]) -> bool:
    """Note where both the name and the file itself tell a dimension."""
    texts = []
    name = one.name
    tells = {"s": name.site, "y": name.y, "x": name.x, "z": name.z, "c": name.channel, "t": name.t}
    # Groups that are there but matched nothing in this name tell nothing.
    told = {group for group, value in tells.items() if value is not None}
    if len(one.file.images) > 1 and told & {"s", "y", "x"}:
        texts.append(f"holds {len(one.file.images)} images, but its name tells one site")
    for _, structure in one.file.images:
        sizes = {"z": structure.size_z, "c": structure.size_c, "t": structure.size_t}
        texts.extend(
            f"holds {sizes[group]} {dimension}, but its name tells one (group {group})"
            for group, dimension in _DIMENSIONS.items()
            if group in told and sizes[group] > 1
        )
    remedy = "leave that group out of the pattern"
    problems.extend(Problem("error", one.path, f"{text}; {remedy}") for text in texts[:1])
    return bool(texts)


def _add_files(
    found: FoundFiles, manifest: Manifest, named: Sequence[_Named], options: ManifestOptions
) -> None:
    numbering = Numbering([one.name for one in named])
    manifest.problems.extend(numbering.gaps())
    sites: dict[SiteKey, SitePosition] = {}
    cells: dict[SiteKey, tuple[int, int]] = {}
    for one in named:
        plate = one.name.plate or options.plate or found.name
        manifest.data_sets.append(one.file.data_set(found, one.path))
        for series, (image, structure) in enumerate(one.file.images):
            # A file of several images is a site each; its name then tells none.
            site = SiteKey(plate, one.name.well, numbering.site(one.name) + series)
            size = structure.size_y, structure.size_x
            sites.setdefault(site, SitePosition(*size, image.name, image.stage_position))
            if one.name.y is not None or one.name.x is not None:
                cells[site] = numbering.cell(one.name)
            channels = _channels(one, series)
            add_channels(manifest.channels, channels)
            names = tuple(channel.name for channel in channels)
            manifest.row_groups.append(_rows(one, series, site, names, numbering, options))
    manifest.sites = _laid_out(site_grids(sites), cells)


def _rows(
    one: _Named,
    series: int,
    site: SiteKey,
    channels: tuple[str, ...],
    numbering: Numbering,
    options: ManifestOptions,
) -> ImageRows:
    image, structure = one.file.images[series]
    return ImageRows(
        site=site,
        acquisition=options.acquisition or "acquisition_0",
        cycle=options.cycle,
        channels=channels,
        source_file=one.path,
        series=series,
        structure=structure,
        image=image,
        first_zplane=numbering.zplane(one.name),
        first_tpoint=numbering.tpoint(one.name),
    )


def _channels(one: _Named, series: int) -> tuple[ChannelInfo, ...]:
    image, structure = one.file.images[series]
    own = image_channels(image.channels, structure.size_c)
    if structure.size_c > 1:
        return own
    return (replace(own[0], name=one.name.channel or _DEFAULT_CHANNEL),)


def _laid_out(
    sites: dict[SiteKey, SiteInfo], cells: dict[SiteKey, tuple[int, int]]
) -> dict[SiteKey, SiteInfo]:
    """Put the sites where their names say, in wells where no two say the same."""
    wells: defaultdict[tuple[str, str], list[SiteKey]] = defaultdict(list)
    for key in sites:
        wells[key.plate, key.well].append(key)
    laid_out = dict(sites)
    for keys in wells.values():
        told = {cells[key] for key in keys if key in cells}
        if len(told) == len(keys):
            for key in keys:
                y, x = cells[key]
                laid_out[key] = replace(sites[key], y=y, x=x)
    return laid_out
