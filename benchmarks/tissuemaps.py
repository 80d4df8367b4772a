"""TissueMAPS' way to extract, written from its description.

``python tissuemaps.py opencv|bioformats SOURCE TARGET WORKERS``: each job is a
process of its own with at most a hundred planes, so many at a time. A microscope file is
opened anew for every plane: by OpenCV if no file has several, else by
python-bioformats. Planes are written with gzip 4 under their final names;
nothing is flushed or checked. Run with an environment that has what it imports.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_MOST_PLANES_A_JOB = 100
# Path, index in the file, and path of the extracted plane.
Plane = tuple[str, int, str]


def extract(reader: str, planes: list[Plane]) -> None:
    """Do a job."""
    import h5py

    read = _read_by_opencv if reader == "opencv" else _read_by_bioformats()
    for source, index, target in planes:
        with h5py.File(target, "w") as file:
            pixels = read(source, index)
            file.create_dataset("array", data=pixels, compression="gzip", compression_opts=4)
    sys.stdout.flush()
    # A process with Java in it does not end by itself.
    os._exit(0)


def _read_by_opencv(path: str, _: int) -> object:
    import cv2  # type: ignore[import-not-found]  # in an environment of its own

    return cv2.imread(path, cv2.IMREAD_UNCHANGED)


def _read_by_bioformats() -> Callable[[str, int], object]:
    import bioformats
    import javabridge

    javabridge.start_vm(class_path=bioformats.JARS, run_headless=True)

    def read(path: str, index: int) -> object:
        # It takes a file of many series for one of many planes.
        with bioformats.ImageReader(path) as reader:
            return reader.read(series=0, index=index, rescale=False)

    return read


def _planes(source: Path, target: Path) -> list[Plane]:
    paths = sorted(source.glob("*.tif*"))
    if len(paths) > 1:
        return [(str(path), 0, f"{target / path.stem}.h5") for path in paths]
    import tifffile

    with tifffile.TiffFile(paths[0]) as file:
        count = len(file.pages)
    return [(str(paths[0]), index, f"{target / str(index)}.h5") for index in range(count)]


def main() -> None:
    """Extract a folder to another by so many jobs at a time."""
    reader, source, target, workers = sys.argv[1:]
    planes = _planes(Path(source), Path(target))
    # As many jobs as let all workers end together.
    waves = -(-len(planes) // (_MOST_PLANES_A_JOB * int(workers)))
    jobs = int(workers) * waves
    with ThreadPoolExecutor(int(workers)) as running:
        list(running.map(lambda job: _run_job(reader, planes[job::jobs]), range(jobs)))
    if not all(Path(target).exists() for *_, target in planes):
        raise SystemExit("not all planes were extracted")


def _run_job(reader: str, planes: list[Plane]) -> None:
    command = [sys.executable, __file__, reader]
    subprocess.run(command, input=json.dumps(planes), text=True, check=True)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        extract(sys.argv[1], json.load(sys.stdin))
    else:
        main()
