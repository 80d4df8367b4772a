"""Microscope types as simple as can be, and folders that they wrote."""

from collections.abc import Sequence
from pathlib import Path

from imextract.config import Settings
from imextract.errors import RegistrationError
from imextract.registration.files import FoundFiles
from imextract.registration.manifest import ChannelInfo, Manifest
from imextract.registration.microscopes import Claim
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from tests.support import noise, write_tiff


class Toy:
    """A type whose folders each hold a file `NAME.list`, with a line per image."""

    def __init__(self, name: str, well: str = "A01") -> None:
        self.name = name
        self.well = well

    def claim(self, found: FoundFiles) -> Sequence[Claim]:
        lists = [path for path in found.files if path.endswith(f"{self.name}.list")]
        return [
            Claim(
                root := path.rpartition("/")[0],
                path,
                frozenset(other for other in found.files if other.rpartition("/")[0] == root),
            )
            for path in lists
        ]

    def read(
        self, found: FoundFiles, claim: Claim, options: ManifestOptions, settings: Settings
    ) -> Manifest:
        names = (found.folder / claim.entry).read_text().splitlines()
        if not names:
            raise RegistrationError(f"{claim.entry}: lists nothing")
        folder = f"{claim.root}/" if claim.root else ""
        listed = [
            PlaneFile("P", self.well, site, "C", 0, 0, folder + name)
            for site, name in enumerate(names)
        ]
        return manifest_of_planes(
            found, self.name, listed, acquisition=None, options=options, settings=settings,
            channels=[ChannelInfo("C")],
        )  # fmt: skip


def plate(folder: Path, kind: str = "toy", names: Sequence[str] = ("a.tif", "b.tif")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.list").write_text("\n".join(names))
    for number, name in enumerate(names):
        write_tiff(folder / name, noise(6, 8, seed=number))
    return folder
