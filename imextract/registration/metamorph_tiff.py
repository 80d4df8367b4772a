"""What the header of an image of MetaMorph tells: how many planes, how large the pixels."""

from dataclasses import dataclass
from pathlib import Path

from tifffile import TiffFile, TiffFileError

from imextract.errors import SourceFileError
from imextract.readers.source import open_source

__all__ = ["StackHeader", "read_stack_header"]

_STK_PLANES = 33629
_UM_PER_UNIT = {"um": 1.0, "µm": 1.0, "nm": 1e-3, "mm": 1e3}


@dataclass(frozen=True, slots=True)
class StackHeader:
    """Planes of a file, None where a damaged header does not tell; size of its pixels."""

    planes: int | None
    pixel_size_um: float | None = None


def read_stack_header(path: Path) -> StackHeader | None:
    """Read the header of a TIFF or a stack (STK); None for a file that is none, or not there."""
    try:
        with open_source(path) as stream:
            tiff = TiffFile(stream)
            tag = tiff.pages.first.tags.get(_STK_PLANES)
            planes = len(tiff.pages) if tag is None else tag.count
            return StackHeader(planes, None if tag is None else _pixel_size(tiff))
    except (SourceFileError, TiffFileError):
        return None
    except Exception:  # noqa: BLE001  tifffile meets damage with errors of any kind
        return StackHeader(None)


def _pixel_size(tiff: TiffFile) -> float | None:
    told = tiff.stk_metadata or {}
    unit = _UM_PER_UNIT.get(str(told.get("CalibrationUnits", "")).strip("\0 ").lower())
    size = told.get("XCalibration")
    if unit is None or not told.get("SpatialCalibration") or not isinstance(size, float):
        return None
    return size * unit if size > 0 else None
