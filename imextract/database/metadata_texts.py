"""The vendors' own metadata, kept with the acquisitions that they tell of."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from imextract.database.experiments import acquisition_ids
from imextract.database.models import AcquisitionRow, MicroscopeImageFileRow, PlateRow

__all__ = ["KeptMetadata", "kept_metadata", "metadata_text"]

File = MicroscopeImageFileRow


@dataclass(frozen=True, slots=True)
class KeptMetadata:
    """Where a kept text comes from; `stored_bytes` is its size, compressed."""

    id: int
    plate: str
    acquisition: str
    microscope_type: str
    objective: str | None
    file: Path
    format_name: str
    stored_bytes: int


def kept_metadata(session: Session, experiment_id: int) -> Iterator[KeptMetadata]:
    """Give what is kept of an experiment, in the order of registration; not the texts."""
    query = (
        select(
            File.id,
            PlateRow.name.label("plate"),
            AcquisitionRow.name.label("acquisition"),
            AcquisitionRow.microscope_type,
            AcquisitionRow.objective,
            AcquisitionRow.folder,
            File.path,
            File.format_name,
            func.length(File.metadata_text).label("stored_bytes"),
        )
        .join(AcquisitionRow, AcquisitionRow.id == File.acquisition_id)
        .join(PlateRow, PlateRow.id == AcquisitionRow.plate_id)
        .where(
            AcquisitionRow.id.in_(acquisition_ids(session, experiment_id)),
            File.metadata_text.is_not(None),
        )
        .order_by(File.id)
    )
    for row in session.execute(query).mappings():
        told = dict(row)
        yield KeptMetadata(file=Path(told.pop("folder"), told.pop("path")), **told)


def metadata_text(session: Session, kept: KeptMetadata) -> str:
    """Give a kept text."""
    content = session.scalar(select(File.metadata_text).where(File.id == kept.id))
    return "" if content is None else zlib.decompress(content).decode("utf-8")
