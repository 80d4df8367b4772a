"""What is told of a plate that two folders of a tree hold."""

from typing import Literal

from imextract.registration.manifest import Problem

__all__ = ["plate_in_two_folders"]


def plate_in_two_folders(
    plate: str, before: str, folder: str, detail: str, severity: Literal["error", "warning"]
) -> Problem:
    """Say it of the second folder: nobody can know whether it is one plate or are two.

    Parameters
    ----------
    detail
        What comes of it as it stands.
    """
    text = (
        f"plate {plate!r} is in {before} and in {folder}, {detail}: expected each plate once. "
        "Register the folder of each by itself, two plates by their --plate, one that was imaged "
        "again with --experiment ID and another --acquisition; or correct the manifest that "
        "--dry-run --manifest writes"
    )
    return Problem(severity, folder, text)
