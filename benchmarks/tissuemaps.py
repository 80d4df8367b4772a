"""TissueMAPS' way to extract, written from its description: ``python -m benchmarks.tissuemaps``.

A microscope file is opened anew for every plane, by python-bioformats, and the
plane written with gzip 4 under its final name; nothing is flushed or checked.
Each worker is a process with a part of the files.
"""

import multiprocessing
import os
import sys
from pathlib import Path


def extract(files: list[Path], folder: Path) -> None:
    """Extract the planes of files that hold one each."""
    import bioformats
    import h5py
    import javabridge

    javabridge.start_vm(class_path=bioformats.JARS, run_headless=True, max_heap_size="1024m")
    for path in files:
        with bioformats.ImageReader(str(path)) as reader:
            pixels = reader.read(c=None, z=0, t=0, series=0, index=0, rescale=False)
        with h5py.File(folder / f"{path.stem}.h5", "w") as file:
            file.create_dataset("array", data=pixels, compression="gzip", compression_opts=4)
    # A process with Java in it does not end by itself.
    os._exit(0)


def main() -> None:
    """Extract the TIFFs of a folder to another by so many processes."""
    source, target, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    target.mkdir(exist_ok=True)
    files = sorted(source.glob("*.tif*"))
    context = multiprocessing.get_context("spawn")
    parts = [
        context.Process(target=extract, args=(files[part::workers], target))
        for part in range(workers)
    ]
    for process in parts:
        process.start()
    for process in parts:
        process.join()
    if len(list(target.glob("*.h5"))) != len(files):
        raise SystemExit("not all planes were extracted")


if __name__ == "__main__":
    main()
