"""Microscope types: how a folder is read. A new one is a module and a line here."""

from imextract.registration.microscopes import (
    bioformats,
    cellvoyager,
    imagexpress,
    incell,
    metamorph,
    micromanager,
    ometiff,
    operetta,
    pattern,
    scanr,
    visiview,
)
from imextract.registration.microscopes.protocol import Claim, MicroscopeType

__all__ = ["AUTO", "MICROSCOPES", "ONLY_ON_REQUEST", "Claim", "MicroscopeType"]

# Asked for claims in this order: those with metadata of their own first.
MICROSCOPES: dict[str, MicroscopeType] = {
    "imagexpress": imagexpress,
    "cellvoyager": cellvoyager,
    "operetta": operetta,
    "visiview": visiview,
    "metamorph": metamorph,
    "micromanager": micromanager,
    "incell": incell,
    "ometiff": ometiff,
    "scanr": scanr,
    "bioformats": bioformats,
    "pattern": pattern,
}

# Types that read whatever they are given, and so are never picked by themselves.
ONLY_ON_REQUEST = frozenset({"pattern"})

# In place of a type: the folder's content tells, as it does where none is given.
AUTO = "auto"
