"""Rows of microscope files, found or made data set by data set."""

import zlib
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from imextract.database.models import (
    ChannelImageFileRow,
    MicroscopeImageFileRow,
    MicroscopeMetadataFileRow,
    SourcePlaneRow,
)
from imextract.errors import RegistrationError
from imextract.registration.manifest import DataSet, SourceFile

__all__ = ["add_data_set", "known_entry"]


def add_data_set(session: Session, acquisition_id: int, data_set: DataSet) -> int:
    """Write the files of a data set and give the id of its entry."""
    common = {
        "acquisition_id": acquisition_id,
        "reader": data_set.reader,
        "format_name": data_set.format_name,
    }
    text = data_set.metadata_text
    entry = MicroscopeImageFileRow(
        **common,
        **_seen(data_set.entry),
        holds_pixels=data_set.entry.holds_pixels,
        metadata_text=None if text is None else zlib.compress(text.encode("utf-8", "replace")),
    )
    session.add(entry)
    session.flush()
    images = [
        {**common, **_seen(file), "entry_id": entry.id, "holds_pixels": True}
        for file in data_set.companions
        if file.holds_pixels
    ]
    metadata = [
        {"acquisition_id": acquisition_id, "entry_id": entry.id, **_seen(file)}
        for file in data_set.companions
        if not file.holds_pixels
    ]
    if images:
        session.execute(insert(MicroscopeImageFileRow), images)
    if metadata:
        session.execute(insert(MicroscopeMetadataFileRow), metadata)
    return entry.id


def known_entry(
    session: Session, acquisition_id: int, data_set: DataSet, folder: Path
) -> int | None:
    """Give the entry of a data set that was registered before.

    Returns
    -------
    int or None
        None if it was not, or was forgotten because its files changed before
        any of its planes was extracted.

    Raises
    ------
    RegistrationError
        If its files changed after planes were extracted.
    """
    entry = session.scalar(
        select(MicroscopeImageFileRow).where(
            MicroscopeImageFileRow.acquisition_id == acquisition_id,
            MicroscopeImageFileRow.path == data_set.entry.path,
        )
    )
    if entry is None:
        return None
    if _seen_before(session, entry) == {
        (file.path, file.size_bytes, file.mtime_ns)
        for file in (data_set.entry, *data_set.companions)
    }:
        return entry.id
    _forget(session, entry, folder)
    return None


def _seen_before(session: Session, entry: MicroscopeImageFileRow) -> set[tuple[str, int, int]]:
    seen = {(entry.path, entry.size_bytes, entry.mtime_ns)}
    for table in (MicroscopeImageFileRow, MicroscopeMetadataFileRow):
        columns = (table.path, table.size_bytes, table.mtime_ns)
        query = select(*columns).where(table.entry_id == entry.id)
        seen |= {(path, size, time) for path, size, time in session.execute(query)}
    return seen


def _forget(session: Session, entry: MicroscopeImageFileRow, folder: Path) -> None:
    dependent = select(SourcePlaneRow.channel_image_file_id).where(
        SourcePlaneRow.microscope_image_file_id == entry.id
    )
    extracted = session.scalar(
        select(ChannelImageFileRow.id).where(
            ChannelImageFileRow.id.in_(dependent), ChannelImageFileRow.state == "extracted"
        )
    )
    if extracted is not None:
        raise RegistrationError(
            f"{folder / entry.path}: the file, or one that belongs to it, has "
            "changed since its planes were extracted; what was extracted is kept. Register "
            "the folder as a new experiment, or with another --acquisition name"
        )
    session.execute(delete(ChannelImageFileRow).where(ChannelImageFileRow.id.in_(dependent)))
    session.delete(entry)
    session.flush()


def _seen(file: SourceFile) -> dict[str, Any]:
    return {"path": file.path, "size_bytes": file.size_bytes, "mtime_ns": file.mtime_ns}
