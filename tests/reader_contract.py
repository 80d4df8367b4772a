"""What every reader must do, whichever file it reads."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from imextract.config import Settings
from imextract.errors import PlaneNotFoundError, SourceFileError
from imextract.planes import PixelArray, PlaneRef
from imextract.readers.protocol import PlaneReader
from imextract.readers.registry import open_reader


@dataclass(frozen=True)
class Sample:
    """A file and the truth about its planes."""

    path: Path
    planes: dict[PlaneRef, PixelArray]


class PlaneReaderContract:
    """Subclass it; give `reader_name` and a fixture `sample` of at least two planes."""

    reader_name: str

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Sample:
        raise NotImplementedError

    def open(self, path: Path, settings: Settings) -> PlaneReader:
        return open_reader(self.reader_name, path, settings)

    def test_planes_are_right_in_any_order(self, sample: Sample, reader_settings: Settings) -> None:
        with self.open(sample.path, reader_settings) as reader:
            for ref in [*sample.planes, *reversed(sample.planes)]:
                np.testing.assert_array_equal(reader.read_plane(ref), sample.planes[ref])

    def test_structure_tells_shape_type_and_count(
        self, sample: Sample, reader_settings: Settings
    ) -> None:
        with self.open(sample.path, reader_settings) as reader:
            for ref, plane in sample.planes.items():
                series = reader.structure[ref.series]
                assert series.shape == plane.shape
                assert series.dtype == plane.dtype.name
            assert sum(series.plane_count for series in reader.structure) == len(sample.planes)

    def test_array_owns_its_memory_in_native_order(
        self, sample: Sample, reader_settings: Settings
    ) -> None:
        first, second = list(sample.planes)[:2]
        with self.open(sample.path, reader_settings) as reader:
            plane = reader.read_plane(first)
            assert plane.dtype.isnative
            assert not np.shares_memory(plane, reader.read_plane(first))
            assert plane.flags.writeable
            reader.read_plane(second)
            reader.read_plane(second)
            np.testing.assert_array_equal(plane, sample.planes[first])

    def test_prefetched_plane_is_the_same(self, sample: Sample, reader_settings: Settings) -> None:
        with self.open(sample.path, reader_settings) as reader:
            for ref, plane in sample.planes.items():
                reader.prefetch(ref)
                np.testing.assert_array_equal(reader.read_plane(ref), plane)

    def test_prefetch_of_another_plane_changes_nothing(
        self, sample: Sample, reader_settings: Settings
    ) -> None:
        first, second = list(sample.planes)[:2]
        with self.open(sample.path, reader_settings) as reader:
            for _ in range(5):
                reader.prefetch(second)
                np.testing.assert_array_equal(reader.read_plane(first), sample.planes[first])

    @pytest.mark.parametrize(
        ("series", "plane"), [(0, -1), (0, 10_000), (-1, 0), (10_000, 0), (0, 2**40), (2**40, 0)]
    )
    def test_plane_outside_the_file_is_refused(
        self, sample: Sample, reader_settings: Settings, series: int, plane: int
    ) -> None:
        with self.open(sample.path, reader_settings) as reader:
            ref = PlaneRef(series, plane)
            reader.prefetch(ref)
            with pytest.raises(PlaneNotFoundError, match=re.escape(str(sample.path))):
                reader.read_plane(ref)

    def test_missing_file_is_refused(self, sample: Sample, reader_settings: Settings) -> None:
        missing = sample.path.with_name("missing" + sample.path.suffix)
        with pytest.raises(SourceFileError, match="missing"):
            self.open(missing, reader_settings)
