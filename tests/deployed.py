"""A Prefect server with our deployments, and experiments to run on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from imextract.channel_image_file import ChannelImageFile
from imextract.config import Settings
from imextract.planes import PixelArray
from imextract.registration.register import RegistrationRequest, register_folder
from tests.prefect_server import PrefectServer

PATTERN = r"plate_(?P<w>[A-Z]\d\d)_s(?P<s>\d+)_z(?P<z>\d+)\.tif"


@dataclass(frozen=True)
class Bench:
    """Settings that runs and tests share, and a folder for microscope files."""

    settings: Settings
    folder: Path

    def experiment(self, name: str, sites: int = 4, zplanes: int = 2, size: int = 64) -> int:
        """Register a folder of numbered TIFF files, a plane in each."""
        folder = self.images(name, sites, zplanes, size)
        request = RegistrationRequest(folder=folder, name=name, pattern=PATTERN)
        result = register_folder(request, self.settings)
        assert result.experiment_id is not None
        return result.experiment_id

    def images(self, name: str, sites: int = 4, zplanes: int = 2, size: int = 64) -> Path:
        """Write a folder of numbered TIFF files whose pixels differ from plane to plane."""
        folder = self.folder / name
        folder.mkdir()
        for site in range(sites):
            for zplane in range(zplanes):
                pixels = pixels_of(site, zplane, size)
                tifffile.imwrite(folder / f"plate_A01_s{site}_z{zplane}.tif", pixels)
        return folder

    def planes(self, experiment_id: int, state: str | None = None) -> list[ChannelImageFile]:
        """Give the planes of an experiment as a consumer sees them."""
        wanted = {} if state is None else {"state": state}
        return list(ChannelImageFile.find(experiment_id, self.settings, **wanted))

    def stored_file(self, plane: ChannelImageFile) -> Path:
        """Give the file of a stored plane."""
        assert plane.record.location is not None
        return Path(self.settings.storage_url) / plane.record.location


@dataclass(frozen=True)
class Deployed(Bench):
    """A bench with a Prefect server."""

    prefect: PrefectServer


def pixels_of(site: int, zplane: int, size: int = 64) -> PixelArray:
    """Give pixels that no other plane has."""
    noise = np.random.default_rng((site, zplane))
    return noise.integers(0, 4096, (size, size)).astype(np.uint16)
