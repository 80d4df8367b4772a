"""Images named as only one vendor names them, where the index that tells what they are is lost.

Read one by one each would be a site of its own: a guess, where an error can say
what is missing.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable

from imextract.errors import RegistrationError
from imextract.registration.files import FoundFiles
from imextract.registration.microscopes.protocol import Claim

__all__ = ["lost_index", "orphans"]


def orphans(
    found: FoundFiles, claims: Iterable[Claim], is_image: Callable[[str], bool]
) -> list[Claim]:
    """Claim, folder by folder, the images that no claim with an index has.

    Parameters
    ----------
    is_image
        Tells by the name of a file, without its folder, whether only this
        vendor can have written it.
    """
    taken = frozenset[str]().union(*(claim.files for claim in claims))
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in found.files:
        folder, _, name = path.rpartition("/")
        if is_image(name) and path not in taken:
            folders[folder].append(path)
    return [Claim(folder, paths[0], frozenset(paths)) for folder, paths in folders.items()]


def lost_index(claim: Claim, vendor: str, index: str, remedy: str) -> RegistrationError:
    """Say that images lack their index, and what else can be done."""
    others = f", as {len(claim.files) - 1} more are" if len(claim.files) > 1 else ""
    return RegistrationError(
        f"{claim.entry}: is named as {vendor} names images{others}, but the {index} that tells "
        f"what they are is missing; copy it from the microscope, or register with {remedy}"
    )
