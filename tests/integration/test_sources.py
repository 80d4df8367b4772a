"""Files that change while their planes are read."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imextract.config import Settings
from imextract.database.files import MicroscopeDataSet, MicroscopeFile
from imextract.database.planes import PlaneRecord, find_planes
from imextract.errors import SourceFileError
from imextract.sources import SourceReader
from tests.experiments import make_experiment, pixels_of
from tests.support import write_tiff


def seen(path: Path) -> MicroscopeFile:
    found = path.stat()
    size, time = found.st_size, found.st_mtime_ns
    return MicroscopeFile(1, path.parent, path, size, time, True, "present")


@pytest.fixture
def plane(tmp_path: Path) -> PlaneRecord:
    experiment = make_experiment(tmp_path)
    return next(find_planes(experiment.database, experiment.experiment_id))


@pytest.fixture
def companion(tmp_path: Path) -> Path:
    path = tmp_path / "companion.tif"
    write_tiff(path, pixels_of(7, 0, 0))
    return path


@pytest.fixture
def reader(plane: PlaneRecord, companion: Path) -> Iterator[SourceReader]:
    (source,) = plane.sources
    entry = seen(source.source_file)
    data_set = MicroscopeDataSet(entry, (seen(companion),), "bioformats", companion.parent)
    with SourceReader({source.entry_id: data_set}, Settings()) as reader:
        yield reader


def touch(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def test_a_companion_that_changes_after_it_was_opened_costs_the_plane(
    plane: PlaneRecord, companion: Path, reader: SourceReader
) -> None:
    np.testing.assert_array_equal(reader.read(plane), pixels_of(0, 0, 0))
    touch(companion)
    with pytest.raises(SourceFileError, match=r"companion\.tif: changed since it was registered"):
        reader.read(plane)


def test_planes_of_other_files_are_given_where_a_companion_had_changed_before(
    plane: PlaneRecord, companion: Path, reader: SourceReader
) -> None:
    touch(companion)
    np.testing.assert_array_equal(reader.read(plane), pixels_of(0, 0, 0))
