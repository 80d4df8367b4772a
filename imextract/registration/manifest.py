"""The manifest: what a folder holds, one row per plane, before anything is written.

Microscope types build it, the registration checks it, shows it and writes it
to the database.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, TypeAlias

from imextract.planes import PlaneRef

__all__ = [
    "Acquisition",
    "ChannelInfo",
    "DataSet",
    "Manifest",
    "ManifestRow",
    "Problem",
    "SiteInfo",
    "SiteKey",
    "SourceFile",
]

Acquisition: TypeAlias = tuple[str, str]
"""Names of a plate and of an acquisition of it."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A microscope file as it was seen at registration.

    Attributes
    ----------
    path
        Relative to the registered folder, with "/" between its parts.
    holds_pixels
        False for vendor metadata, which deletion never touches.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    holds_pixels: bool = True


@dataclass(frozen=True, slots=True)
class DataSet:
    """Files that are opened together, through one of them.

    Attributes
    ----------
    entry
        The file that is opened.
    companions
        The other files that Bio-Formats reads with it.
    reader
        Name of the reader that extracts its planes (`imextract.readers.registry`).
    format_name
        The format, as Bio-Formats calls it.
    metadata_text
        The original metadata (OME-XML), kept with the acquisition.
    is_held
        Nothing of it may be deleted: it has planes that nobody stores.
    """

    entry: SourceFile
    companions: tuple[SourceFile, ...]
    reader: str
    format_name: str
    metadata_text: str | None = None
    is_held: bool = False

    def held(self) -> Self:
        """Give the same, of which nothing may be deleted."""
        return replace(self, is_held=True)


@dataclass(frozen=True, slots=True, order=True)
class SiteKey:
    """A site of a well of a plate."""

    plate: str
    well: str
    site: int


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """Where a site lies: zero-based grid position in its well, image name."""

    y: int
    x: int
    height: int
    width: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """A channel: its name and what the microscope says of it."""

    name: str
    excitation_nm: float | None = None
    emission_nm: float | None = None


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One plane: what it is, where it comes from, what shape it has.

    A plane that the microscope declares, but whose file is not there or shows
    no plane, is absent: it has no `source_file` and no `ref`. Its shape is that
    of its neighbours.

    Stage positions are in µm, `time_stamp_s` in seconds since the start of
    the acquisition, `exposure_ms` in milliseconds; None where the source
    does not tell.
    """

    site: SiteKey
    acquisition: str
    cycle: int
    channel: str
    tpoint: int
    zplane: int
    source_file: str | None
    ref: PlaneRef | None
    height: int
    width: int
    dtype: str
    pixel_size_x_um: float | None = None
    pixel_size_y_um: float | None = None
    pixel_size_z_um: float | None = None
    stage_x_um: float | None = None
    stage_y_um: float | None = None
    stage_z_um: float | None = None
    time_stamp_s: float | None = None
    exposure_ms: float | None = None

    @property
    def source(self) -> tuple[str, PlaneRef] | None:
        """The file and the plane in it; None if the plane is absent."""
        if self.source_file is None or self.ref is None:
            return None
        return self.source_file, self.ref


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know about before pixels are moved.

    An "error" forbids registering, a "warning" leaves something out.
    """

    severity: Literal["error", "warning"]
    file: str | None
    text: str


@dataclass(slots=True)
class Manifest:
    """All that a folder holds.

    `metadata_sets` are vendor metadata through which no plane is read, each
    with the plate and the acquisition that it tells of.

    `objectives` names the objective of a plate and acquisition, where it is told.

    `microscope_type` names all types of the folder; `type_of()` tells that of
    one plate and acquisition.

    `rows()` is built anew each time, so that a plate of millions of planes
    is never held as rows.
    """

    folder: Path
    microscope_type: str
    data_sets: list[DataSet] = field(default_factory=list)
    sites: dict[SiteKey, SiteInfo] = field(default_factory=dict)
    channels: dict[str, ChannelInfo] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    row_groups: list["RowGroup"] = field(default_factory=list)
    metadata_sets: list[tuple[str, str, DataSet]] = field(default_factory=list)
    objectives: dict[tuple[str, str], str] = field(default_factory=dict)
    own_types: dict[tuple[str, str], str] = field(default_factory=dict)

    def type_of(self, plate: str, acquisition: str) -> str:
        """Give the microscope type that read an acquisition of a plate."""
        return self.own_types.get((plate, acquisition), self.microscope_type)

    def rows(self) -> Iterator[ManifestRow]:
        """Give every plane, data set by data set, in file order."""
        for group in self.row_groups:
            yield from group.rows()


class RowGroup:
    """Rows that can be made again and again from something smaller."""

    def rows(self) -> Iterator[ManifestRow]:
        """Give the rows of the group."""
        raise NotImplementedError
