"""What a plane costs: ``python benchmarks/extraction.py`` prints a table.

One process, no Prefect: planes of 2048 x 2048 pixels, 16 bits, of one OME-TIFF
read by Bio-Formats and of single TIFFs read by tifffile; from registered files
to durable, recorded HDF5 files. The start of Java is in the time.
"""

import tempfile
from pathlib import Path

import numpy as np
import tifffile

from imextract.batches import BatchResult, ImextractBatchArguments
from imextract.config import Settings
from imextract.extractor import ImageExtractor
from imextract.registration.register import RegistrationRequest, register_folder

PLANES = 60


def write_planes(folder: Path) -> tuple[Path, Path]:
    """Write the same planes as one OME-TIFF and as single TIFFs."""
    multi, single = folder / "multi", folder / "single"
    multi.mkdir()
    single.mkdir()
    noise = np.random.default_rng(0)
    stack = noise.poisson(300, (PLANES, 2048, 2048)).astype("uint16")
    tifffile.imwrite(multi / "stack.ome.tif", stack, metadata={"axes": "ZYX"}, ome=True)
    for index, plane in enumerate(stack):
        tifffile.imwrite(single / f"A01_s{index}.tif", plane)
    return multi, single


def extract(folder: Path, settings: Settings, pattern: str | None) -> BatchResult:
    """Register a folder and extract it in one job."""
    request = RegistrationRequest(folder=folder, name=folder.name, pattern=pattern)
    experiment_id = register_folder(request, settings).experiment_id
    if experiment_id is None:
        raise RuntimeError(f"{folder}: not registered")
    extractor = ImageExtractor(experiment_id, settings)
    (batch,) = extractor.create_run_batches(ImextractBatchArguments())
    return extractor.run_job(batch)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        settings = Settings(
            database_url=f"sqlite:///{folder / 'ledger.db'}", storage_url=str(folder / "planes")
        )
        multi, single = write_planes(folder)
        print("| source | reader | ms a plane | MB/s |\n|---|---|---:|---:|")
        for source, path, reader, pattern in (
            ("one OME-TIFF", multi, "Bio-Formats", None),
            ("single TIFFs", single, "tifffile", r"(?P<w>A01)_s(?P<s>\d+)"),
        ):
            result = extract(path, settings, pattern)
            cost = 1000 * result.seconds / result.extracted
            rate = result.bytes_in / 1e6 / result.seconds
            print(f"| {source} | {reader} | {cost:.0f} | {rate:.0f} |")


if __name__ == "__main__":
    main()
