"""From a folder to the manifest of its planes."""

import filecmp
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from imextract.config import Settings
from imextract.errors import RegistrationError, SourceFileError
from imextract.registration.checks import check_manifest
from imextract.registration.copies import copied_folders
from imextract.registration.files import (
    FoundFiles,
    changes_since,
    find_files,
    first_reasons,
    is_empty,
    names_alike,
)
from imextract.registration.layouts import lay_out
from imextract.registration.manifest import Manifest, Problem
from imextract.registration.merge import merge_manifests
from imextract.registration.microscopes import MICROSCOPES, ONLY_ON_REQUEST, Claim
from imextract.registration.options import ManifestOptions
from imextract.registration.suffixes import is_likely_image, is_never_opened

__all__ = ["ManifestOptions", "build_manifest"]

logger = logging.getLogger(__name__)

_MOST_NAMED = 5

# Reads what no other type claims.
_LAST = "bioformats"

# Claims may share metadata, but no plane is of two of them.
_IMAGE_SUFFIXES = (".tif", ".tiff", ".stk", ".png", ".jpg", ".jpeg")


def build_manifest(folder: Path, options: ManifestOptions, settings: Settings) -> Manifest:
    """Find out what a folder holds; nothing is written.

    Parameters
    ----------
    folder
        Where the microscope files are; searched recursively.
    options
        What the user says about them.
    settings
        How files are read.

    Returns
    -------
    Manifest
        Its problems of severity "error" forbid registering.

    Raises
    ------
    RegistrationError
        If there is nothing to register or the options make no sense.
    """
    only = _only_type(options)
    found = find_files(folder)
    problems, found.problems = found.problems, []
    claims = list(_claims(found, [only] if only else _own_types(), problems))
    if only is not None and not claims:
        raise RegistrationError(
            f"{folder}: nothing in it was written by microscope type {only!r}"
            f"{first_reasons(problems)}; leave --microscope out to find out what it is"
        )
    own = options
    if only is None and len(claims) + _has_images(_unclaimed(found)) > 1:
        # One name for several plates would make them one.
        own = replace(options, plate=None)
    manifests = list(_read(found, claims, own, settings, problems))
    if only is None:
        manifests.extend(_read_rest(found, claims, own, settings, problems))
    if not manifests:
        raise RegistrationError(_why_nothing(folder, claims, problems))
    manifest = merge_manifests(found.folder, manifests)
    manifest.problems[:0] = problems
    _note_several_types(manifest, manifests)
    if options.layout is not None:
        manifest.sites = lay_out(manifest.sites, options.layout, options.rows, options.columns)
    manifest.problems.extend(_several_plates(manifest, options.plate))
    manifest.problems.extend(check_manifest(manifest))
    manifest.problems.extend(names_alike(found))
    manifest.problems.extend(copied_folders(found, [one.entry.path for one in manifest.data_sets]))
    manifest.problems.extend(changes_since(found))
    return manifest


def _only_type(options: ManifestOptions) -> str | None:
    """Give the type that the user asks for, if any."""
    name = options.microscope or ("pattern" if options.pattern is not None else None)
    if name is not None and name not in MICROSCOPES:
        raise RegistrationError(
            f"microscope type {name!r}: expected one of {', '.join(sorted(MICROSCOPES))}"
        )
    if options.pattern is not None and name != "pattern":
        raise RegistrationError(
            f"a pattern is for microscope type 'pattern', got {name!r}; leave one of them out"
        )
    if options.cycle < 0:
        raise RegistrationError(f"cycle {options.cycle}: expected an index from 0")
    if options.layout is None and (options.rows is not None or options.columns is not None):
        raise RegistrationError("--rows and --columns are the size of a layout; give --layout too")
    return name


def _own_types() -> list[str]:
    return [name for name in MICROSCOPES if name != _LAST and name not in ONLY_ON_REQUEST]


def _claims(
    found: FoundFiles, types: Iterable[str], problems: list[Problem]
) -> Iterator[tuple[str, Claim]]:
    """Ask the types in order; what one claims, the next ones do not see."""
    for name in types:
        for claim in MICROSCOPES[name].claim(_unclaimed(found)):
            shared = _shared(found, claim)
            is_part = claim.files <= found.claimed.keys()
            for path in claim.files - shared.keys():
                found.claimed.setdefault(path, claim.entry)
            if shared:
                problems.append(_twice(found, claim, shared))
                continue
            if is_part:
                owner = found.claimed[claim.entry]
                text = f"is taken for a part of {owner}, which is read: not read by itself"
                problems.append(Problem("warning", claim.entry, text))
                continue
            logger.debug("%s: %s claims %d files", claim.entry, name, len(claim.files))
            yield name, claim
        problems.extend(found.problems)
        found.problems = []


def _shared(found: FoundFiles, claim: Claim) -> dict[str, str]:
    """Give the images that another claim accounts for already, each with the entry of that."""
    return {
        path: found.claimed[path]
        for path in sorted(claim.files & found.claimed.keys())
        if path.lower().endswith(_IMAGE_SUFFIXES)
    }


def _twice(found: FoundFiles, claim: Claim, shared: dict[str, str]) -> Problem:
    """Say that images have two indices: a copy adds nothing, of others one is to be chosen."""
    images = {path for path in claim.files if path.lower().endswith(_IMAGE_SUFFIXES)}
    example, other = next(iter(shared.items()))
    if set(shared.values()) == {other} and images == shared.keys() and _same(found, claim, other):
        return Problem("warning", claim.entry, f"is a copy of {other}, which is read: left out")
    text = (
        f"{len(shared)} of its images, such as {example}, are those of {other} already: expected "
        f"each image in one plate; move {claim.entry} or {other} out of the folder"
    )
    return Problem("error", claim.entry, text)


def _same(found: FoundFiles, claim: Claim, other: str) -> bool:
    try:
        return filecmp.cmp(found.folder / claim.entry, found.folder / other, shallow=False)
    except OSError:
        return False


def _unclaimed(found: FoundFiles) -> FoundFiles:
    """Give the files that no claim accounts for; problems go to the same list."""
    files = {path: file for path, file in found.files.items() if path not in found.claimed}
    return FoundFiles(found.folder, files, found.problems, found.claimed)


def _read(
    found: FoundFiles,
    claims: Iterable[tuple[str, Claim]],
    options: ManifestOptions,
    settings: Settings,
    problems: list[Problem],
) -> Iterator[Manifest]:
    order = {path: rank for rank, path in enumerate(found.files)}
    for name, claim in claims:
        own = sorted(claim.files & order.keys(), key=order.__getitem__)
        files = FoundFiles(found.folder, {path: found.files[path] for path in own})
        try:
            _refuse_empty_index(found, name, claim.entry)
            yield MICROSCOPES[name].read(files, claim, options, settings)
        except (RegistrationError, SourceFileError) as error:
            # Others may be sound, and the dry run shows what is wrong with this.
            problems.append(Problem("error", claim.entry, f"{name}: {error}"))


def _refuse_empty_index(found: FoundFiles, name: str, entry: str) -> None:
    """Refuse an index that tells nothing; an image that is empty is one absent plane."""
    is_index = not entry.lower().endswith(_IMAGE_SUFFIXES)
    if is_index and name in _own_types() and is_empty(found.files[entry]):
        raise RegistrationError(
            f"{found.folder / entry}: looks like the index of a plate, but is empty; copy it again "
            "from the microscope, or register with --microscope bioformats"
        )


def _read_rest(
    found: FoundFiles,
    claims: list[tuple[str, Claim]],
    options: ManifestOptions,
    settings: Settings,
    problems: list[Problem],
) -> Iterator[Manifest]:
    """Give what nobody claimed to Bio-Formats, if there may be images in it."""
    rest = _unclaimed(found)
    if not rest.files:
        return
    if claims and not _has_images(rest):
        problems.append(_nobodys(list(rest.files)))
        return
    try:
        (claim,) = MICROSCOPES[_LAST].claim(rest)
        yield MICROSCOPES[_LAST].read(rest, claim, options, settings)
    except RegistrationError as error:
        if not claims:
            raise
        problems.append(_nobodys(list(rest.files), f" ({error})"))


def _has_images(found: FoundFiles) -> bool:
    return any(is_likely_image(path) and not is_never_opened(path) for path in found.files)


def _several_plates(manifest: Manifest, name: str | None) -> Iterator[Problem]:
    """Refuse a name of the user that does not become that of all planes."""
    plates = sorted({key.plate for key in manifest.sites})
    if name is not None and plates != [name]:
        text = (
            f"--plate {name} is the name of one plate, but the folder holds several, or tells of "
            f"{', '.join(map(repr, plates[:_MOST_NAMED]))}: leave it out, or register the folder "
            "of each plate by itself"
        )
        yield Problem("error", None, text)


def _nobodys(paths: list[str], reason: str = "") -> Problem:
    others = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
    text = f"this file{others}: no microscope type claims them, left out{reason}"
    return Problem("warning", paths[0], text)


def _note_several_types(manifest: Manifest, manifests: list[Manifest]) -> None:
    types = list(dict.fromkeys(one.microscope_type for one in manifests))
    if len(types) > 1:
        text = (
            f"the folder holds files of several microscope types: {', '.join(types)}; all are "
            "registered; choose one with --microscope, or register its folder by itself"
        )
        manifest.problems.append(Problem("warning", None, text))


def _why_nothing(folder: Path, claims: Sequence[tuple[str, Claim]], problems: list[Problem]) -> str:
    if len(claims) == 1 and problems and problems[-1].file == claims[0][1].entry:
        # The one thing that was tried tells by itself what is wrong.
        entry, text = claims[0][1].entry, problems[-1].text
        return text if entry in text else f"{folder / entry}: {text}"
    return (
        f"{folder}: nothing in it can be registered{first_reasons(problems)}; "
        "give the folder that the microscope wrote to"
    )
