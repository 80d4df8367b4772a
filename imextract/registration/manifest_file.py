"""A manifest as a CSV file, for people to look at and to correct.

Written, it has a row per plane. Taken back, its rows say which planes of the
folder are registered, and as what; which files there are, and what is in them,
the folder tells.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imextract.errors import RegistrationError
from imextract.planes import TOLD, PlaneRef
from imextract.registration.channels import add_channels
from imextract.registration.manifest import (
    Acquisition,
    ChannelInfo,
    DataSet,
    Manifest,
    ManifestRow,
    Problem,
    RowGroup,
    SiteInfo,
    SiteKey,
)
from imextract.registration.manifest_line import (
    CHANNEL,
    COLUMNS,
    PLANE,
    LineError,
    index,
    measure,
    read_line,
)

__all__ = ["correct_manifest", "write_manifest_file"]

_MOST_NAMED = 20

# Names of files may hold bytes that are no UTF-8: they go through as they are.
_ENCODING = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


def write_manifest_file(manifest: Manifest, path: Path) -> None:
    """Write a manifest, one row per plane.

    Raises
    ------
    RegistrationError
        If the file is there already or cannot be written.
    """
    try:
        with path.open("x", **_ENCODING) as stream:  # type: ignore[call-overload]  # as text
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows(_written(manifest, row) for row in manifest.rows())
    except OSError as error:
        raise RegistrationError(
            f"{path}: the manifest cannot be written ({error.strerror}); give another file"
        ) from error


def _written(manifest: Manifest, row: ManifestRow) -> list[object]:
    site, channel = manifest.sites[row.site], manifest.channels[row.channel]
    ref = row.ref
    values: list[object] = [row.site.plate, row.site.well, row.site.site, site.y, site.x]
    values += [getattr(row, name) for name in PLANE]
    values += ["absent" if ref is None else "planned", row.source_file or ""]
    values += [None, None] if ref is None else [ref.series, ref.plane]
    values += [row.height, row.width, row.dtype]
    values += [getattr(row, name) for name in TOLD]
    return [*values, channel.excitation_nm, channel.emission_nm]


def correct_manifest(manifest: Manifest, path: Path) -> None:
    """Take the rows of a file in place of those of a manifest.

    Planes that the file leaves out are not registered, with a warning; each
    error is named with its line.

    Raises
    ------
    RegistrationError
        If the file cannot be read or has not the columns of a manifest.
    """
    corrected = _Corrected(manifest)
    try:
        # Spreadsheets put a mark before the first column, and some use semicolons.
        with path.open(**_ENCODING | {"encoding": "utf-8-sig"}) as stream:  # type: ignore[call-overload]  # as text
            first = stream.readline()
            delimiter = max(",;\t", key=first.count)
            stream.seek(0)
            reader = csv.DictReader(stream, restkey="", restval="", delimiter=delimiter)
            _check_columns(path, reader.fieldnames or ())
            for values in reader:
                corrected.add(reader.line_num, values)
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise RegistrationError(
            f"{path}: the manifest cannot be read ({reason}); "
            "give one that --dry-run --manifest wrote"
        ) from error
    corrected.finish(path)


def _check_columns(path: Path, names: Iterable[str]) -> None:
    given = list(names)
    unknown = [name for name in given if name not in COLUMNS]
    missing = [name for name in COLUMNS if name not in given]
    if unknown or missing:
        problem = f"unknown column {unknown[0]!r}" if unknown else f"no column {missing[0]!r}"
        raise RegistrationError(
            f"{path}: line 1: {problem}; expected the columns {', '.join(COLUMNS)}"
        )


@dataclass(frozen=True, slots=True)
class _Held(RowGroup):
    held: list[ManifestRow]

    def rows(self) -> Iterator[ManifestRow]:
        yield from self.held


class _Corrected:
    """Rows of a file, each checked against what the folder holds."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._found = {row.source: row for row in manifest.rows() if row.source is not None}
        self._rows: list[ManifestRow] = []
        self._sites: dict[SiteKey, SiteInfo] = {}
        self._channels: dict[str, ChannelInfo] = {}
        self._used: set[tuple[str, PlaneRef]] = set()
        self._became: defaultdict[Acquisition, set[Acquisition]] = defaultdict(set)
        self._errors: list[str] = []
        self._own_names = _names(manifest.rows())

    def add(self, line: int, values: Mapping[str, str]) -> None:
        """Take a line, or note what is wrong with it."""
        try:
            self._add(read_line(values), values)
        except LineError as error:
            self._errors.append(f"line {line}: {error}")

    def _add(self, row: ManifestRow, values: Mapping[str, str]) -> None:
        self._check_names(row)
        if row.source is not None:
            before = self._check_source(row, *row.source)
            self._used.add(row.source)
            self._became[before].add(_acquisition(row))
        self._place(row, values)
        channel = ChannelInfo(row.channel, *(measure(values, name) for name in CHANNEL))
        add_channels(self._channels, [channel])
        self._check_wavelengths(channel)
        self._rows.append(row)

    def _place(self, row: ManifestRow, values: Mapping[str, str]) -> None:
        y, x = index(values, "site_y"), index(values, "site_x")
        site = SiteInfo(y, x, row.height, row.width, self._site_name(row.site))
        before = self._sites.setdefault(row.site, site)
        if (before.y, before.x) != (y, x):
            raise LineError(
                f"site_y {y}, site_x {x}: other rows of well {row.site.well}, site "
                f"{row.site.site} tell {before.y}, {before.x}"
            )

    def _check_names(self, row: ManifestRow) -> None:
        """Refuse names of another coding; those made from file names may be of any."""
        for name in _names([row]) - self._own_names:
            if not name.isascii() and any("\udc80" <= letter <= "\udcff" for letter in name):
                raise LineError(f"the name {name!r} is no UTF-8: save the file as CSV UTF-8")

    def _check_wavelengths(self, channel: ChannelInfo) -> None:
        known = self._channels[channel.name]
        for name in CHANNEL:
            own, before = getattr(channel, name), getattr(known, name)
            if own not in (None, before):
                raise LineError(
                    f"{name} is {own}: other rows of channel {channel.name} tell {before}"
                )

    def _check_source(self, row: ManifestRow, file: str, ref: PlaneRef) -> Acquisition:
        """Give the acquisition that the plane is of, as the folder tells it."""
        found = self._found.get((file, ref))
        if found is None:
            raise LineError(
                f"the folder has no plane {ref.plane} of series {ref.series} in {file!r}"
            )
        if row.source in self._used:
            raise LineError(f"this plane of {file!r} was in a line before")
        if _shape(found) != _shape(row):
            raise LineError(
                f"height, width and dtype are {_shape(row)}, but {file!r} has {_shape(found)}"
            )
        return _acquisition(found)

    def _site_name(self, key: SiteKey) -> str | None:
        known = self._manifest.sites.get(key)
        return None if known is None else known.name

    def finish(self, path: Path) -> None:
        """Put the rows in place, and tell what is wrong with the file."""
        manifest = self._manifest
        named = [Problem("error", str(path), text) for text in self._errors[:_MOST_NAMED]]
        if len(self._errors) > _MOST_NAMED:
            text = f"{len(self._errors) - _MOST_NAMED} more lines are wrong"
            named.append(Problem("error", str(path), text))
        if not any(row.source for row in self._rows):
            text = "tells of no plane that is there; correct the file or register without it"
            named.append(Problem("error", str(path), text))
        manifest.problems.extend(named)
        self._leave_out(path)
        manifest.row_groups = [_Held(self._rows)]
        manifest.sites, manifest.channels = self._sites, self._channels
        self._hand_over()

    def _leave_out(self, path: Path) -> None:
        """Keep the files of planes that the file leaves out from deletion, and tell of it."""
        left_out = self._found.keys() - self._used
        if not left_out:
            return
        entries = {entry for entry, _ in left_out}
        manifest = self._manifest
        manifest.data_sets = [
            one.held() if one.entry.path in entries else one for one in manifest.data_sets
        ]
        text = (
            f"{len(left_out)} planes of the folder are not in the manifest: left out; "
            "files that hold one are never deleted"
        )
        manifest.problems.append(Problem("warning", str(path), text))

    def _hand_over(self) -> None:
        """Give what is known of an acquisition to those that its planes are of now."""
        manifest = self._manifest
        metadata: dict[tuple[Acquisition, str], DataSet] = {}
        types: defaultdict[Acquisition, set[str]] = defaultdict(set)
        objectives: dict[Acquisition, str] = {}
        for plate, name, data_set in manifest.metadata_sets:
            for now in sorted(self._became[plate, name]):
                metadata[now, data_set.entry.path] = data_set
        for before, objective in manifest.objectives.items():
            objectives.update(dict.fromkeys(self._became[before], objective))
        for before, after in self._became.items():
            for now in after:
                types[now].add(manifest.type_of(*before))
        manifest.metadata_sets = [(*now, data_set) for (now, _), data_set in metadata.items()]
        manifest.objectives = objectives
        manifest.own_types = {now: " + ".join(sorted(names)) for now, names in types.items()}


def _acquisition(row: ManifestRow) -> Acquisition:
    return row.site.plate, row.acquisition


def _names(rows: Iterable[ManifestRow]) -> set[str]:
    return {name for row in rows for name in (row.site.plate, row.acquisition, row.channel)}


def _shape(row: ManifestRow) -> str:
    return f"{row.height} x {row.width} {row.dtype}"
