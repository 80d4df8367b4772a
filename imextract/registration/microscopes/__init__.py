"""Microscope types: how a folder is read. A new one is a module and a line here."""

from collections.abc import Callable
from typing import TypeAlias

from imextract.config import Settings
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes import bioformats, pattern
from imextract.registration.options import ManifestOptions

__all__ = ["MICROSCOPES", "MicroscopeType"]

MicroscopeType: TypeAlias = Callable[[FoundFiles, ManifestOptions, Settings], Manifest]

MICROSCOPES: dict[str, MicroscopeType] = {
    "bioformats": bioformats.read_folder,
    "pattern": pattern.read_folder,
}
