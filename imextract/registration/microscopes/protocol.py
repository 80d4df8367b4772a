"""What every microscope type does: say which files are its own, and read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imextract.config import Settings
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import Manifest
from imextract.registration.options import ManifestOptions

__all__ = ["Claim", "MicroscopeType"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Files that one microscope wrote together and one type reads.

    Attributes
    ----------
    root
        The folder that holds them, relative to the registered one; "" is that itself.
    entry
        The file by which the type was recognised: the metadata, or the first image.
    files
        All files that the claim accounts for: images, metadata, and what is
        ignored on purpose, such as thumbnails.
    """

    root: str
    entry: str
    files: frozenset[str]


class MicroscopeType(Protocol):
    """A way to read a folder; a module with these two functions is one."""

    def claim(self, found: FoundFiles) -> Sequence[Claim]:
        """Say which files are of this type, by names and the content of metadata files.

        Cheap: images are not opened one by one, and one file decides nothing
        about others.
        """
        ...

    def read(
        self, found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings
    ) -> Manifest:
        """Give the planes of a claim.

        Raises
        ------
        RegistrationError, SourceFileError
            If they cannot be told; the claim is then an error of the folder.
        """
        ...
