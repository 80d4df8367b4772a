"""What a simulated plate holds: a value, from which every pixel follows."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from imextract.errors import ConfigError

__all__ = ["PlaneKey", "PlateLayout", "SimulatedPlate", "layout_of_megabytes"]

# (rows, columns, empty wells at each edge): the outer wells of a plate dry out
# first, so that people leave them empty while they can.
_PLATES = ((8, 12, 1), (8, 12, 0), (16, 24, 1), (16, 24, 0), (32, 48, 0))
_STAINS = ("HOECHST 33342", "Alexa 488", "Alexa 568", "Alexa 647", "MitoTracker Deep Red")
_BOUNDS = {
    "wells": (1, 32 * 48),
    "sites": (1, 400),
    "channels": (1, 32),
    "zplanes": (1, 1000),
    "tpoints": (1, 1000),
    "height": (16, 20_000),
    "width": (16, 20_000),
    "seed": (0, 2**32 - 1),
}
_BYTES_PER_PIXEL = 2


@dataclass(frozen=True, slots=True, order=True)
class PlaneKey:
    """A plane of a simulated plate; all but the well's name are zero-based."""

    well: str
    site: int
    channel: int
    tpoint: int
    zplane: int


@dataclass(frozen=True, slots=True)
class PlateLayout:
    """How many of what a plate holds, how large, and the seed of its noise."""

    wells: int = 3
    sites: int = 2
    channels: int = 3
    zplanes: int = 2
    tpoints: int = 1
    height: int = 540
    width: int = 540
    seed: int = 0
    plate: str = "Simulated"

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(
                    f"simulated plate: {name} is {value}, expected {least} to {most}; "
                    f"give another number of {name}"
                )

    @property
    def plate_shape(self) -> tuple[int, int]:
        """(rows, columns) of the smallest plate that has the wells."""
        rows, columns, _ = self._plate
        return rows, columns

    @property
    def well_positions(self) -> tuple[tuple[int, int], ...]:
        """Zero-based (row, column) of the imaged wells, row by row."""
        rows, columns, edge = self._plate
        positions = (
            (row, column)
            for row in range(edge, rows - edge)
            for column in range(edge, columns - edge)
        )
        return tuple(position for position, _ in zip(positions, range(self.wells), strict=False))

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels, in order."""
        custom = (f"Custom {index + 1}" for index in range(len(_STAINS), self.channels))
        return (*_STAINS[: self.channels], *custom)

    @property
    def plane_count(self) -> int:
        """Number of planes of the plate."""
        return self.wells * self.planes_per_well

    @property
    def planes_per_well(self) -> int:
        """Number of planes of one well."""
        return self.sites * self.channels * self.zplanes * self.tpoints

    @property
    def plane_bytes(self) -> int:
        """Bytes of the pixels of one plane."""
        return self.height * self.width * _BYTES_PER_PIXEL

    def plane_keys(self) -> Iterator[PlaneKey]:
        """Give every plane, in the order in which the microscope takes them."""
        for row, column in self.well_positions:
            for site in range(self.sites):
                yield from self._keys_of_site(well_name(row, column), site)

    @property
    def _plate(self) -> tuple[int, int, int]:
        return next(
            (rows, columns, edge)
            for rows, columns, edge in _PLATES
            if (rows - 2 * edge) * (columns - 2 * edge) >= self.wells
        )

    def _keys_of_site(self, well: str, site: int) -> Iterator[PlaneKey]:
        for tpoint in range(self.tpoints):
            for zplane in range(self.zplanes):
                for channel in range(self.channels):
                    yield PlaneKey(well, site, channel, tpoint, zplane)


@dataclass(frozen=True, slots=True)
class SimulatedPlate:
    """A plate as it was written.

    Attributes
    ----------
    entry
        The file through which readers open the plate.
    pixel_bytes
        Bytes of its pixels, uncompressed.
    file_bytes
        Bytes of its files.
    """

    folder: Path
    microscope: str
    layout: PlateLayout
    entry: Path
    planes: int
    pixel_bytes: int
    file_bytes: int


def layout_of_megabytes(megabytes: float, layout: PlateLayout | None = None) -> PlateLayout:
    """Give a layout its wells, and then its sites, until its pixels are so large.

    Parameters
    ----------
    megabytes
        Millions of bytes that the pixels take at least.
    layout
        Everything else of the plate.

    Raises
    ------
    ConfigError
        If no plate of such images is that large.
    """
    layout = layout or PlateLayout()
    if not megabytes > 0:
        raise ConfigError(f"simulated plate: {megabytes} MB; expected a size above 0")
    per_well = layout.planes_per_well * layout.plane_bytes
    wells = _ceil_divide(megabytes * 1e6, per_well)
    most = _BOUNDS["wells"][1]
    if wells <= most:
        return replace(layout, wells=max(wells, 1))
    sites = _ceil_divide(megabytes * 1e6, per_well // layout.sites * most)
    if sites > _BOUNDS["sites"][1]:
        raise ConfigError(
            f"simulated plate: {megabytes} MB do not fit a plate of {layout.width} x "
            f"{layout.height} pixels an image; give a larger height and width"
        )
    return replace(layout, wells=most, sites=sites)


def well_name(row: int, column: int) -> str:
    """Name a well as plates are printed: A01, H12, AA01."""
    letters = ""
    row += 1
    while row:
        row, letter = divmod(row - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{column + 1:02d}"


def well_position(name: str) -> tuple[int, int]:
    """Give the zero-based (row, column) of a well's name."""
    letters = name.rstrip("0123456789")
    row = 0
    for letter in letters:
        row = row * 26 + ord(letter) - ord("A") + 1
    return row - 1, int(name[len(letters) :]) - 1


def _ceil_divide(total: float, part: int) -> int:
    return -int(-total // part)
