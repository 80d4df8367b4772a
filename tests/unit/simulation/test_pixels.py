"""Pixels say what they are, to programs and to people, and look like a camera's."""

from dataclasses import replace

import numpy as np
import pytest

from imextract.hdf5 import encode_plane
from imextract.simulation import PlaneKey, PlateLayout, expected_plane, read_stamp
from imextract.simulation.lettering import render_lines

SMALL = PlateLayout(wells=2, sites=2, channels=3, zplanes=2, tpoints=2, height=96, width=128)
FIRST = PlaneKey("B02", site=0, channel=0, tpoint=0, zplane=0)


# Of a camera that counts 0.46 electrons as one.
GAIN = 1 / 0.46


def test_a_plane_has_the_size_and_type_of_a_16_bit_camera() -> None:
    pixels = expected_plane(SMALL, FIRST)

    assert pixels.shape == (96, 128)
    assert pixels.dtype == np.uint16
    assert 4095 < pixels.max() < 65535


def test_planes_become_as_small_as_those_of_real_microscopes() -> None:
    layout = PlateLayout(wells=1, sites=1, channels=2, zplanes=1, height=1024, width=1024)

    for key in layout.plane_keys():
        pixels = expected_plane(layout, key)
        ratio = pixels.nbytes / len(encode_plane(pixels, {}, "zstd"))

        # Real planes: 1.4 to 2.5, 2.0 in the mean (`python -m benchmarks --only presets`).
        assert 1.7 < ratio < 2.2


def test_every_plane_says_which_it_is() -> None:
    keys = list(SMALL.plane_keys())

    assert [read_stamp(expected_plane(SMALL, key)) for key in keys] == keys


def test_a_well_of_a_large_plate_says_which_it_is() -> None:
    layout = PlateLayout(wells=1536, height=16, width=16)
    key = PlaneKey("AF48", site=1, channel=2, tpoint=0, zplane=1)

    assert read_stamp(expected_plane(layout, key)) == key


def test_a_plane_that_is_none_of_ours_has_no_stamp() -> None:
    assert read_stamp(np.zeros((16, 16), np.uint16)) is None
    assert read_stamp(expected_plane(SMALL, FIRST)[::-1]) is None


def test_the_same_plane_is_made_again() -> None:
    assert np.array_equal(expected_plane(SMALL, FIRST), expected_plane(SMALL, FIRST))


def test_no_two_planes_are_alike_even_without_their_stamps() -> None:
    planes = {expected_plane(SMALL, key)[1:].tobytes() for key in SMALL.plane_keys()}
    other_seed = replace(SMALL, seed=1)

    assert len(planes) == SMALL.plane_count
    assert expected_plane(other_seed, FIRST)[1:].tobytes() not in planes


def test_the_lettering_can_be_read_out_of_the_noise() -> None:
    layout = PlateLayout()
    pixels = expected_plane(layout, PlaneKey("B03", site=1, channel=1, tpoint=0, zplane=1))

    ink = render_lines(("WELL B03 SITE 1", "C1 ALEXA 488", "Z1 T0"), layout.height, layout.width)
    region = pixels[: ink.shape[0], : ink.shape[1]]

    assert ink.shape[0] > 100
    assert np.mean((region > 6000) == ink) > 0.95


def test_lettering_that_has_no_room_is_cut_off() -> None:
    assert render_lines(("WELL B03 SITE 1",), 16, 16).shape == (11, 16)


def test_noise_is_that_of_a_camera() -> None:
    """Variance of electrons grows with brightness by one per electron, above read noise."""
    layout = PlateLayout(wells=1, sites=1, channels=1, zplanes=1, height=600, width=600)
    pixels = (expected_plane(layout, FIRST) - 100.0) / GAIN
    # Differences of neighbours take out everything but the noise.
    blocks = pixels[200:].reshape(100, 4, 150, 4).transpose(0, 2, 1, 3).reshape(-1, 4, 4)
    noise = ((blocks[:, :, 1:] - blocks[:, :, :-1]) ** 2).mean(axis=(1, 2)) / 2
    electrons = blocks.mean(axis=(1, 2))

    dark = electrons < 110

    assert dark.sum() > 1000
    assert np.median(noise[dark]) == pytest.approx(np.median(electrons[dark]) + 1.6**2, rel=0.15)
    assert pixels[1:].min() > 0


def test_corners_are_darker_than_the_middle() -> None:
    layout = PlateLayout(height=600, width=600)
    pixels = expected_plane(layout, FIRST)

    middle = np.percentile(pixels[280:320, 280:320], 10)
    corner = np.percentile(pixels[-40:, -40:], 10)

    assert corner < middle - 10
