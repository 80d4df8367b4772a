"""Plates as a microscope writes them, whose pixels spell what they are."""

from imextract.simulation.faults import Faults, FaultyPlanes, choose_faulty
from imextract.simulation.layout import PlaneKey, PlateLayout, SimulatedPlate, layout_of_megabytes
from imextract.simulation.pixels import expected_plane, read_stamp
from imextract.simulation.registry import MICROSCOPES, simulate

__all__ = [
    "MICROSCOPES",
    "Faults",
    "FaultyPlanes",
    "PlaneKey",
    "PlateLayout",
    "SimulatedPlate",
    "choose_faulty",
    "expected_plane",
    "layout_of_megabytes",
    "read_stamp",
    "simulate",
]
