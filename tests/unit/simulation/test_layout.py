"""A layout holds what its numbers say, and refuses numbers that make no sense."""

import string

import pytest

from imextract.errors import ConfigError
from imextract.simulation import PlateLayout, layout_of_megabytes
from imextract.simulation.layout import well_name, well_position


def test_plane_keys_are_as_many_as_counted_and_all_different() -> None:
    layout = PlateLayout(wells=5, sites=3, channels=2, zplanes=4, tpoints=2)

    keys = list(layout.plane_keys())

    assert len(keys) == layout.plane_count == 5 * 3 * 2 * 4 * 2
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("wells", "shape"),
    [(1, (8, 12)), (60, (8, 12)), (96, (8, 12)), (97, (16, 24)), (384, (16, 24)), (1536, (32, 48))],
)
def test_the_smallest_plate_with_room_is_used(wells: int, shape: tuple[int, int]) -> None:
    layout = PlateLayout(wells=wells)

    assert layout.plate_shape == shape
    assert len(set(layout.well_positions)) == wells
    assert all(row < shape[0] and column < shape[1] for row, column in layout.well_positions)


def test_outer_wells_stay_empty_while_there_is_room() -> None:
    assert well_name(*PlateLayout(wells=60).well_positions[0]) == "B02"
    assert well_name(*PlateLayout(wells=61).well_positions[0]) == "A01"


@pytest.mark.parametrize(
    ("position", "name"), [((0, 0), "A01"), ((15, 23), "P24"), ((25, 0), "Z01"), ((31, 47), "AF48")]
)
def test_wells_are_named_as_on_plates(position: tuple[int, int], name: str) -> None:
    assert well_name(*position) == name
    assert well_position(name) == position


def test_further_channels_have_names_of_their_own() -> None:
    names = PlateLayout(channels=8).channel_names

    assert len(set(names)) == 8
    assert set("".join(names)) <= set(string.ascii_letters + string.digits + " ")


@pytest.mark.parametrize("megabytes", [0.5, 20, 200, 5000])
def test_a_plate_of_megabytes_is_that_large_and_not_much_larger(megabytes: float) -> None:
    layout = layout_of_megabytes(megabytes)

    size = layout.plane_count * layout.plane_bytes
    assert size >= megabytes * 1e6
    assert size - layout.planes_per_well * layout.plane_bytes < megabytes * 1e6


def test_a_plate_gets_more_sites_when_its_wells_are_used_up() -> None:
    layout = layout_of_megabytes(100, PlateLayout(channels=1, zplanes=1, height=64, width=64))

    assert layout.wells == 1536
    assert layout.plane_count * layout.plane_bytes >= 100e6


@pytest.mark.parametrize(
    ("name", "value"), [("wells", 0), ("wells", 1537), ("width", 8), ("seed", -1), ("channels", 99)]
)
def test_numbers_that_make_no_sense_are_refused_by_name(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}, expected"):
        PlateLayout(**{name: value})  # type: ignore[arg-type]  # every number of it is an int


@pytest.mark.parametrize("megabytes", [0, -1, float("nan")])
def test_a_plate_of_no_size_is_refused(megabytes: float) -> None:
    with pytest.raises(ConfigError, match="expected a size above 0"):
        layout_of_megabytes(megabytes)


def test_a_plate_that_cannot_be_so_large_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger height and width"):
        layout_of_megabytes(1000, PlateLayout(channels=1, zplanes=1, height=16, width=16))
