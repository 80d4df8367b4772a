"""The root attributes of a stored plane: all that is needed to use it without the ledger."""

from imextract import __version__
from imextract.database.planes import PlaneRecord
from imextract.hdf5 import Attributes
from imextract.planes import TOLD

__all__ = ["FORMAT_VERSION", "IDENTITY", "plane_attributes"]

# The attributes by which a file is known to be of one plane of one source.
IDENTITY = (
    "plane_id",
    "storage_key",
    "source_file",
    "series",
    "plane",
    "source_size_bytes",
    "source_mtime_ns",
    "source_stamp",
)

# Rises when files of the new kind can no longer be read by the code of the old.
FORMAT_VERSION = 1

_NAMES = (
    "experiment_id",
    "experiment",
    "plate",
    "well",
    "site",
    "site_name",
    "site_y",
    "site_x",
    "acquisition",
    "objective",
    "cycle",
    "channel",
    "excitation_nm",
    "emission_nm",
    "tpoint",
    "zplane",
    *TOLD,
)


def plane_attributes(
    plane: PlaneRecord, checksum: str, compression: str, source_stamp: str
) -> Attributes:
    """Give the root attributes of a plane's file.

    What is not known is left out. Names, units and meaning are those of
    docs/stored-planes.md; source files, series and planes are lists joined
    by newlines and commas, as a projection has several.
    """
    known = {name: value for name in _NAMES if (value := getattr(plane, name)) is not None}
    return known | {
        "format_version": FORMAT_VERSION,
        "writer": f"imextract {__version__}",
        "plane_id": plane.id,
        "storage_key": plane.storage_key,
        "source_file": "\n".join(str(source.source_file) for source in plane.sources),
        "series": ",".join(str(source.ref.series) for source in plane.sources),
        "plane": ",".join(str(source.ref.plane) for source in plane.sources),
        "source_size_bytes": ",".join(str(source.size_bytes) for source in plane.sources),
        "source_mtime_ns": ",".join(str(source.mtime_ns) for source in plane.sources),
        "source_stamp": source_stamp,
        "checksum": checksum,
        "checksum_algorithm": "xxh3_128",
        "compression": compression,
    }
