"""Names of files that metadata tell: only those that lead to a file below are followed."""

import re

__all__ = ["why_not_local"]

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def why_not_local(name: str) -> str | None:
    """Say why a name may not be followed; None if it leads to a file below the folder."""
    if not name or "\0" in name:
        return "which is no file name"
    if _URL.match(name):
        return "which is a URL"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "which is an absolute path"
    if ".." in re.split(r"[\\/]", name):
        return "which leads out of the folder"
    return None
