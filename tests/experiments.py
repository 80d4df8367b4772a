"""Small experiments of real TIFF files, registered without Bio-Formats."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tifffile

from imextract.batches import BatchResult, ImextractBatchArguments
from imextract.config import Settings
from imextract.database.registration import write_manifest
from imextract.database.session import Database
from imextract.extractor import ImageExtractor
from imextract.planes import PixelArray, PlaneRef
from imextract.registration.manifest import (
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    RowGroup,
    SiteInfo,
    SiteKey,
    SourceFile,
)
from imextract.store import FolderStore, open_store
from imextract.workplace import Workplace

SHAPE = (48, 64)
CHANNELS = ("DAPI", "GFP")


@dataclass
class Rows(RowGroup):
    """Rows that are simply held."""

    held: list[ManifestRow] = field(default_factory=list)

    def rows(self) -> Iterator[ManifestRow]:
        yield from self.held


def pixels_of(site: int, channel: int, zplane: int) -> PixelArray:
    """Give the pixels of a plane: noise that is no other plane's."""
    noise = np.random.default_rng((site, channel, zplane))
    return noise.integers(0, 4096, SHAPE).astype(np.uint16)


def name_of(site: int, channel: int, zplane: int) -> str:
    return f"s{site}_c{channel}_z{zplane}.tif"


def make_folder(folder: Path, sites: int = 3, zplanes: int = 2) -> Manifest:
    """Write one TIFF per plane, if there is none, and give the manifest of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(folder, "pattern", channels={c: ChannelInfo(c) for c in CHANNELS})
    held = Rows()
    manifest.row_groups.append(held)
    is_new = not any(folder.iterdir())
    for site in range(sites):
        key = SiteKey("P1", f"A{site + 1:02d}", 0)
        manifest.sites[key] = SiteInfo(0, 0, *SHAPE)
        for channel, channel_name in enumerate(CHANNELS):
            for zplane in range(zplanes):
                path = folder / name_of(site, channel, zplane)
                if is_new:
                    tifffile.imwrite(path, pixels_of(site, channel, zplane))
                entry = seen(folder, path)
                manifest.data_sets.append(DataSet(entry, (), "tifffile", "TIFF"))
                held.held.append(
                    ManifestRow(
                        key, "A1", 0, channel_name, 0, zplane, entry.path, PlaneRef(0, 0),
                        *SHAPE, "uint16",
                    )
                )  # fmt: skip
    return manifest


def seen(folder: Path, path: Path) -> SourceFile:
    found = path.stat()
    return SourceFile(path.relative_to(folder).as_posix(), found.st_size, found.st_mtime_ns)


@dataclass
class SmallExperiment:
    """An experiment, where it is kept, and its originals."""

    experiment_id: int
    settings: Settings
    folder: Path

    @property
    def extractor(self) -> ImageExtractor:
        return ImageExtractor(self.experiment_id, self.settings)

    @property
    def database(self) -> Database:
        return Database(self.settings.database_url)

    @property
    def place(self) -> Workplace:
        return Workplace.of(self.settings)

    @property
    def store(self) -> FolderStore:
        return open_store(self.settings.storage_url)

    def extract(self, **arguments: object) -> list[BatchResult]:
        """Run init and all run jobs."""
        given = ImextractBatchArguments.model_validate(arguments)
        extractor = self.extractor
        return [extractor.run_job(batch) for batch in list(extractor.create_run_batches(given))]

    def stored_files(self) -> list[Path]:
        return sorted(Path(self.settings.storage_url).rglob("*.h5"))

    def originals(self) -> list[Path]:
        return sorted(self.folder.glob("*.tif"))


def settings_in(folder: Path, database_url: str | None = None) -> Settings:
    return Settings(
        database_url=database_url or f"sqlite:///{folder / 'ledger.db'}",
        storage_url=str(folder / "planes"),
    )


def make_experiment(
    folder: Path,
    sites: int = 3,
    zplanes: int = 2,
    *,
    projects: bool = False,
    settings: Settings | None = None,
    lacks_first: bool = False,
    name: str = "small",
) -> SmallExperiment:
    """Write and register a folder of TIFF files."""
    settings = settings or settings_in(folder)
    manifest = make_folder(folder / "originals", sites, zplanes)
    if lacks_first:
        (held,) = (group for group in manifest.row_groups if isinstance(group, Rows))
        held.held[0] = replace(held.held[0], source_file=None, ref=None)
    return registered(manifest, settings, name, projects=projects)


def registered(
    manifest: Manifest, settings: Settings, name: str = "small", *, projects: bool = False
) -> SmallExperiment:
    """Write a manifest to the ledger."""
    database = Database(settings.database_url)
    database.prepare()
    with database.transaction() as session:
        written = write_manifest(
            session, manifest, name=name, experiment_id=None, projects=projects
        )
    return SmallExperiment(written.experiment_id, settings, manifest.folder)
