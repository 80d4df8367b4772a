"""Microscopes that can be simulated: one line each."""

from collections.abc import Callable
from pathlib import Path

from imextract.errors import ConfigError
from imextract.simulation.cellvoyager import write_cellvoyager_plate
from imextract.simulation.faults import Faults
from imextract.simulation.imagexpress import write_imagexpress_plate
from imextract.simulation.incell import write_incell_plate
from imextract.simulation.layout import PlateLayout, SimulatedPlate
from imextract.simulation.micromanager import write_micromanager_plate
from imextract.simulation.ometiff import write_ometiff_plate
from imextract.simulation.operetta import write_operetta_plate
from imextract.simulation.scanr import write_scanr_plate
from imextract.simulation.visiview import write_metamorph_plate, write_visiview_plate

__all__ = ["MICROSCOPES", "simulate"]

MICROSCOPES: dict[str, Callable[[Path, PlateLayout, Faults], Path]] = {
    "cellvoyager": write_cellvoyager_plate,
    "imagexpress": write_imagexpress_plate,
    "incell": write_incell_plate,
    "metamorph": write_metamorph_plate,
    "micromanager": write_micromanager_plate,
    "ometiff": write_ometiff_plate,
    "operetta": write_operetta_plate,
    "scanr": write_scanr_plate,
    "visiview": write_visiview_plate,
}


def simulate(
    folder: Path, microscope: str, layout: PlateLayout, faults: Faults | None = None
) -> SimulatedPlate:
    """Write a plate as a vendor's microscope writes it.

    Parameters
    ----------
    folder
        Where; must be empty or not be there. Its entry file is written last,
        so that a folder with it is complete.
    microscope
        A name of `MICROSCOPES`.
    faults
        What shall be wrong with the plate; nothing by default.

    Raises
    ------
    ConfigError
        If the microscope is unknown, cannot have such faults, or the folder cannot be written to.
    """
    if microscope not in MICROSCOPES:
        raise ConfigError(
            f"microscope {microscope!r} cannot be simulated; choose from {', '.join(MICROSCOPES)}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder}: is not empty; give a folder that is new or empty")
        entry = MICROSCOPES[microscope](folder, layout, faults or Faults())
    except OSError as error:
        raise ConfigError(
            f"{folder}: the plate cannot be written: {error.strerror or error}; "
            "give a folder with permission and space to write"
        ) from error
    return SimulatedPlate(
        folder=folder,
        microscope=microscope,
        layout=layout,
        entry=entry,
        planes=layout.plane_count,
        pixel_bytes=layout.plane_count * layout.plane_bytes,
        file_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    )
