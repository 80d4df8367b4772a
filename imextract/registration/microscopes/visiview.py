"""Visitron's VisiView: MetaMorph's `.nd` files, whose stage positions name wells and sites."""

from collections.abc import Sequence

from imextract.config import Settings
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import Manifest
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.nd_sets import claim_nd, read_nd
from imextract.registration.options import ManifestOptions

__all__ = ["claim", "read"]


def claim(found: FoundFiles) -> Sequence[Claim]:
    """Claim each `.nd` file of a plate with the images that are named after it."""
    return claim_nd(found, is_visiview=True)


def read(found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings) -> Manifest:
    """Give the planes that an `.nd` file declares."""
    return read_nd(found, claim, options, settings, "visiview")
