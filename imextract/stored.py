"""Storing a plane, and proving that what is stored is what was written."""

import datetime as dt
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imextract.attributes import FORMAT_VERSION, IDENTITY, plane_attributes
from imextract.checksum import checksum_of_bytes, checksum_of_pixels, is_constant
from imextract.chunks import Bytes
from imextract.compression import CompressionName
from imextract.database.planes import PlaneRecord, plane_location
from imextract.errors import DamagedPlaneError
from imextract.hdf5 import Attributes, decode_attributes, encode_plane
from imextract.planes import PixelArray
from imextract.store import FolderStore
from imextract.stored_pixels import decode_plane, read_region

__all__ = [
    "EncodedPlane",
    "StoredPlane",
    "adopt_plane",
    "encode",
    "ledger_values",
    "load_plane",
    "load_region",
]


@dataclass(frozen=True, slots=True)
class StoredPlane:
    """What the ledger keeps of a stored plane."""

    location: str
    compression: str
    checksum: str
    stored_bytes: int
    stored_checksum: str
    is_suspect: bool


@dataclass(frozen=True, slots=True)
class EncodedPlane:
    """A plane as it is to be stored, and what the ledger will keep of it."""

    content: Bytes
    pixel_bytes: int
    stored: StoredPlane


def encode(
    plane: PlaneRecord, pixels: PixelArray, compression: CompressionName, source_stamp: str
) -> EncodedPlane:
    """Compress a plane into the file that is to be stored.

    Parameters
    ----------
    source_stamp
        Tells the state of the files that the pixels come from
        (`MicroscopeDataSet.stamp`); empty for pixels that come from elsewhere.

    Raises
    ------
    StorageError
        If it cannot be built.
    """
    checksum = checksum_of_pixels(pixels)
    attributes = plane_attributes(plane, checksum, compression, source_stamp)
    content = encode_plane(pixels, attributes, compression)
    stored = StoredPlane(
        location=plane_location(plane.storage_key, plane.id),
        compression=compression,
        checksum=checksum,
        stored_bytes=len(content),
        stored_checksum=checksum_of_bytes(content),
        is_suspect=is_constant(pixels),
    )
    return EncodedPlane(content, pixels.nbytes, stored)


def adopt_plane(store: FolderStore, plane: PlaneRecord, source_stamp: str) -> StoredPlane | None:
    """Take over what an interrupted job has stored, if it is this very plane and whole.

    Else it is deleted, and makes room for one that is.

    Returns
    -------
    StoredPlane or None
        None if there is nothing there any more.

    Raises
    ------
    StorageError
        If it cannot be read, deleted, or made durable.
    """
    location = plane_location(plane.storage_key, plane.id)
    content = store.find(location)
    if content is None:
        return None
    stored = _understood(plane, source_stamp, location, content)
    if stored is None:
        store.remove(location, content)
    else:
        store.secure(location)
    return stored


def _understood(
    plane: PlaneRecord, source_stamp: str, location: str, content: bytes
) -> StoredPlane | None:
    try:
        found = decode_attributes(content, location)
        # Before its pixels are decoded, which takes much longer.
        if not _is_of(plane, source_stamp, found):
            return None
        pixels = decode_plane(content, location)
    except DamagedPlaneError:
        return None
    checksum = str(found.get("checksum"))
    if checksum_of_pixels(pixels) != checksum or not _is_planned(plane, pixels):
        return None
    return StoredPlane(
        location=location,
        compression=str(found["compression"]),
        checksum=checksum,
        stored_bytes=len(content),
        stored_checksum=checksum_of_bytes(content),
        is_suspect=is_constant(pixels),
    )


def _is_of(plane: PlaneRecord, source_stamp: str, found: Attributes) -> bool:
    """Whether attributes are those of a plane, as it would be stored now."""
    checksum, compression = str(found.get("checksum")), str(found.get("compression"))
    expected = plane_attributes(plane, checksum, compression, source_stamp)
    return found.get("format_version") == FORMAT_VERSION and all(
        found.get(name) == expected[name] for name in IDENTITY
    )


def load_plane(store: FolderStore, plane: PlaneRecord, *, from_disk: bool = False) -> PixelArray:
    """Read a stored plane whole, and only if every bit of its file is as written.

    Parameters
    ----------
    from_disk
        Prove what is on the disk: what the system holds in memory does not count.

    Returns
    -------
    ndarray, shape (height, width), native byte order

    Raises
    ------
    DamagedPlaneError
        If it is not extracted, missing, or not what was written.
    StorageError
        If the storage cannot be read.
    """
    location = _location(plane)
    content = store.get(location, from_disk=from_disk)
    found = checksum_of_bytes(content)
    if found != plane.stored_checksum:
        raise DamagedPlaneError(
            f"{store.path(location)}: the stored plane is damaged: its file's checksum is "
            f"{found}, expected {plane.stored_checksum}; delete the file and run the extraction "
            "again while its original is there"
        )
    pixels = decode_plane(content, str(store.path(location)), is_proven=True)
    if checksum_of_pixels(pixels) != plane.checksum or not _is_planned(plane, pixels):
        raise DamagedPlaneError(
            f"{store.path(location)}: the stored plane is not the one in the database: "
            f"expected checksum {plane.checksum}, {plane.height} x {plane.width} {plane.dtype}"
        )
    return pixels


def load_region(store: FolderStore, plane: PlaneRecord, y: slice, x: slice) -> PixelArray:
    """Read a region of a stored plane; every chunk that it touches is checked.

    That the file is this plane's is told by its index of chunks.

    Returns
    -------
    ndarray, shape of the region, native byte order

    Raises
    ------
    DamagedPlaneError
        If the plane is not extracted, missing or damaged there.
    StorageError
        If the storage cannot be read.
    """
    return store.read(_location(plane), lambda path: _region_of(path, plane, y, x))


def _region_of(path: Path, plane: PlaneRecord, y: slice, x: slice) -> PixelArray:
    size = path.stat().st_size
    if size != plane.stored_bytes:
        raise DamagedPlaneError(
            f"{path}: the stored plane is {size} bytes long, "
            f"expected {plane.stored_bytes}; delete the file and run the extraction again"
        )
    expected: Attributes = {
        "plane_id": plane.id,
        "storage_key": plane.storage_key,
        "checksum": str(plane.checksum),
        "height": plane.height,
        "width": plane.width,
        "dtype": plane.dtype,
    }
    return read_region(path, y, x, expected)


def ledger_values(stored: StoredPlane) -> dict[str, Any]:
    """Give the columns of the ledger that say that a plane is extracted."""
    return {
        **asdict(stored),
        "state": "extracted",
        "error": None,
        "is_deadly": False,
        "extracted_at": dt.datetime.now(dt.UTC),
    }


def _location(plane: PlaneRecord) -> str:
    if plane.state != "extracted" or plane.location is None:
        raise DamagedPlaneError(
            f"plane {plane.id} of experiment {plane.experiment_id} is {plane.state}, "
            f"not extracted{f': {plane.error}' if plane.error else ''}; run the extraction"
        )
    return plane.location


def _is_planned(plane: PlaneRecord, pixels: PixelArray) -> bool:
    return pixels.shape == (plane.height, plane.width) and pixels.dtype.name == plane.dtype
