"""From a folder to the manifest of its planes."""

from pathlib import Path

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.checks import check_manifest
from imextract.registration.files import find_files
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes import MICROSCOPES
from imextract.registration.options import ManifestOptions

__all__ = ["ManifestOptions", "build_manifest"]


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
    name = _microscope_name(options)
    manifest = MICROSCOPES[name](find_files(folder), options, settings)
    manifest.problems.extend(check_manifest(manifest))
    return manifest


def _microscope_name(options: ManifestOptions) -> str:
    name = options.microscope or ("bioformats" if options.pattern is None else "pattern")
    if name not in MICROSCOPES:
        raise RegistrationError(
            f"microscope type {name!r}: expected one of {', '.join(sorted(MICROSCOPES))}"
        )
    if options.pattern is not None and name != "pattern":
        raise RegistrationError(
            f"a pattern is for microscope type 'pattern', got {name!r}; leave one of them out"
        )
    if options.cycle < 0:
        raise RegistrationError(f"cycle {options.cycle}: expected an index from 0")
    return name
