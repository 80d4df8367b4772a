"""Everything that Bio-Formats reads, through its own process."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from imextract.closing import Closing
from imextract.config import Settings
from imextract.errors import ImextractError, PlaneNotFoundError, SourceFileError, UnknownFormatError
from imextract.planes import PIXEL_TYPES, PixelArray, PlaneRef, SeriesStructure
from imextract.readers.bioformats_process import BioFormatsProcess, PendingReply, shared_process
from imextract.readers.expected import ExpectedFile, file_problems
from imextract.readers.inspection import Inspection
from imextract.readers.proof import PlaneProof
from imextract.readers.utf8_names import Utf8Names
from imextract.readers.wholeness import why_not_whole

__all__ = ["BioFormatsReader", "Inspection", "inspect_file"]

Reply = dict[str, Any]

_METADATA_SUFFIXES = {".csv", ".htd", ".ini", ".json", ".log", ".ome", ".txt", ".xml"}


# An array of Java has no more elements.
_MOST_BYTES = 2**31 - 1

# Formats (Bio-Formats 7.3.1) of which, if a file is missing, planes are told to be
# others, with the pixels of files that are there; by the type of ours that reads them right.
_SHIFTED = {"MetaXpress TIFF": "imagexpress", "Olympus ScanR": "scanr"}


def inspect_file(path: Path, settings: Settings, folder: Path | None = None) -> Inspection:
    """Open a file with Bio-Formats and tell what is in it.

    Parameters
    ----------
    folder
        Nothing outside of it is read; by default the folder of the file.

    Raises
    ------
    UnknownFormatError
        If Bio-Formats does not know the format.
    SourceFileError
        If the file cannot be opened.
    """
    path = _ordinary_file(path)
    if path.suffix.lower() == ".zip":
        # Bio-Formats would show the first image in it and hide the others.
        raise UnknownFormatError(f"{path}: an archive, no image; unpack it")
    with Utf8Names(path) as names:
        place = {"path": names.name, "folders": _folders(names.name, path, folder)}
        reply = shared_process(settings).ask(f"{path}: opening", {"do": "inspect", **place})
        _refuse_shifted(path, reply)
        warnings = [*reply["warnings"]]
        if damage := _why_not_whole(path, names, reply):
            warnings.append(f"{damage}; its planes will fail")
        if reply["used_files"] is None:
            warnings.append(
                f"Bio-Formats cannot tell the files of the data set ({reply['files_error']})"
            )
        return Inspection(
            path=path,
            folder=folder,
            format_name=reply["format"],
            structure=_structure(path, reply),
            used_files=_paths(names, reply["used_files"]) or (path,),
            metadata_files=_metadata_files(names, reply),
            ome_xml=reply["ome_xml"],
            warnings=tuple(warnings),
        )


class BioFormatsReader(Closing):
    """A data set that Bio-Formats opens through one file.

    Parameters
    ----------
    path
        The file that is opened.
    companions
        The files of the data set as they were registered. If one is not so any
        more, only planes that a healthy TIFF proves are given.
    folder
        Nothing outside of it is read; by default the folder of the file.

    Raises
    ------
    SourceFileError
        If the file cannot be opened.
    """

    knows_dimensions = True

    def __init__(
        self,
        path: Path,
        settings: Settings,
        companions: Sequence[ExpectedFile] = (),
        folder: Path | None = None,
    ) -> None:
        self._path = _ordinary_file(path)
        self._process = shared_process(settings)
        self._names = Utf8Names(self._path)
        folders = _folders(self._names.name, self._path, folder)
        self._place = {"path": self._names.name, "stamp": _stamp(companions), "folders": folders}
        self._prefetched: tuple[PlaneRef, _PendingPlane] | None = None
        try:
            reply = self._process.ask(
                f"{self._path}: opening", {"do": "open", "place": self._place}
            )
            _refuse_shifted(self._path, reply)
            self._structure = _structure(self._path, reply)
        except BaseException:
            self._names.close()
            raise
        self._damage = _why_not_whole(self._path, self._names, reply)
        self._series: list[Reply] = reply["series"]
        self._used_files = _paths(self._names, reply["used_files"])
        self._refuse_outside(folders, _metadata_files(self._names, reply))
        self._files_by_series = bool(reply.get("files_by_series"))
        self._proof = PlaneProof(
            reply["format"],
            None if reply["used_files"] is None else self._all_files(companions),
            self._series_files,
            self._plane_count,
            self._likely_page,
            self._planes_as_given,
            file_problems(companions),
        )

    @classmethod
    def may_read(cls, inspection: Inspection) -> bool:  # noqa: ARG003  it reads all
        """Say that whatever Bio-Formats opened it reads."""
        return True

    @property
    def structure(self) -> tuple[SeriesStructure, ...]:
        """The structure of every series, as Bio-Formats tells it."""
        return self._structure

    def read_plane(self, ref: PlaneRef) -> PixelArray:
        """Read one plane as stored, as `PlaneReader.read_plane`."""
        self._check_ref(ref)
        try:
            plane, warnings, unwritten = self._pending(ref).result()
        except SourceFileError as error:
            problems = self._proof.problems(ref.series)
            if not problems:
                raise
            raise SourceFileError(f"{error}; {problems}") from error
        doubt = "; ".join(warnings[:3]) or self._damage or self._proof.doubt(ref, plane)
        if not doubt and unwritten is not None:
            doubt = f"a file ends too early: bytes of the plane, from {unwritten} on, are in none"
        if doubt:
            raise SourceFileError(
                f"{self._what(ref)}: its pixels cannot be trusted: {doubt}; "
                "put whole files in place and extract again"
            )
        return plane

    def lost_planes(self, series: int) -> list[int]:
        """Give the planes of a series that are not there, because files of it are missing.

        Nothing is told of a series with damaged files: any plane may be in them.
        """
        if not self._proof.lacks_files(series):
            return []
        count = self._structure[series].plane_count
        return [plane for plane in range(count) if self._is_lost(PlaneRef(series, plane))]

    def prefetch(self, ref: PlaneRef) -> None:
        """Let Bio-Formats read a plane while this process does other things."""
        if self._prefetched is not None and self._prefetched[0] == ref:
            return
        self._discard()
        try:
            self._check_ref(ref)
            pending = self._start(ref, wait=False)
        except ImextractError:
            # Only a hint: the error comes again when the plane is read.
            return
        if pending is not None:
            self._prefetched = ref, pending

    def close(self) -> None:
        """Let go of what is read ahead, and of names; the process goes on."""
        self._discard()
        self._names.close()

    def _pending(self, ref: PlaneRef) -> "_PendingPlane":
        if self._prefetched is not None and self._prefetched[0] == ref:
            pending = self._prefetched[1]
            self._prefetched = None
            return pending
        # Two readers that each hold one slot and wait for another would wait for ever.
        self._discard()
        started = self._start(ref, wait=True)
        if started is None:
            raise SourceFileError(f"{self._what(ref)}: no shared memory; try again")
        return started

    def _start(self, ref: PlaneRef, *, wait: bool) -> "_PendingPlane | None":
        series = self._series[ref.series]
        slot = self._process.slots.take(self._plane_bytes(ref.series), wait=wait)
        if slot is None:
            return None
        expected = {key: series[key] for key in ("size_x", "size_y", "dtype", "plane_count")}
        request = {"do": "read", "series": ref.series, "plane": ref.plane, "slot": slot}
        request |= {"expected": expected, "place": self._place}
        try:
            reply = PendingReply(self._process, request, self._what(ref))
        except BaseException:
            self._process.slots.release(slot)
            raise
        return _PendingPlane(self._process, slot, reply, series)

    def _is_lost(self, ref: PlaneRef) -> bool:
        try:
            plane, *_ = self._pending(ref).result()
        except SourceFileError:
            return True
        return bool(self._proof.doubt(ref, plane))

    def _discard(self) -> None:
        if self._prefetched is not None:
            self._prefetched[1].discard()
            self._prefetched = None

    def _check_ref(self, ref: PlaneRef) -> None:
        if not 0 <= ref.series < len(self._structure):
            raise PlaneNotFoundError(
                f"{self._path}: no series {ref.series}: the file has {len(self._structure)}; "
                "register the folder again"
            )
        series = self._structure[ref.series]
        if not 0 <= ref.plane < series.plane_count:
            raise PlaneNotFoundError(
                f"{self._path}: no plane {ref.plane} of series {ref.series}: "
                f"it has {series.plane_count}; register the folder again"
            )
        if series.dtype not in PIXEL_TYPES:
            raise SourceFileError(
                f"{self._what(ref)}: pixels of type {series.dtype} cannot be stored; "
                f"expected one of {', '.join(PIXEL_TYPES)}; convert the file"
            )
        size = self._plane_bytes(ref.series)
        if size > _MOST_BYTES:
            raise SourceFileError(
                f"{self._what(ref)}: {series.size_x} x {series.size_y} pixels in {size} bytes; "
                f"expected at most {_MOST_BYTES}, which is all that Java can hold; "
                "replace the file, or convert it to TIFF"
            )

    def _plane_bytes(self, series: int) -> int:
        told = self._series[series]
        return int(told["size_x"] * told["size_y"] * told["bytes_per_pixel"])

    def _what(self, ref: PlaneRef) -> str:
        return f"{self._path}: series {ref.series}, plane {ref.plane}"

    def _refuse_outside(self, folders: Sequence[str], metadata: Sequence[Path]) -> None:
        """Refuse a set with pixels in other files than may be read, whatever let it read them."""
        ours = tuple(f"{folder}{os.sep}" for folder in folders)
        without_pixels = frozenset(metadata)
        for file in self._used_files:
            is_ours = os.path.normpath(file).startswith(ours) or file in without_pixels
            if not is_ours and os.path.lexists(file):
                self._names.close()
                raise SourceFileError(
                    f"{self._path}: {file} is part of its data set, but lies outside of "
                    f"{folders[0]}, which is all that is read; register a common folder"
                )

    def _series_files(self, series: int) -> Sequence[Path]:
        if not self._files_by_series:
            return self._used_files
        reply = self._process.ask(
            f"{self._path}: files of series {series}",
            {"do": "series_files", "series": series, "place": self._place},
        )
        return _paths(self._names, reply["files"])

    def _plane_count(self, series: int) -> int:
        """Count the planes that are in the files of a series."""
        if self._files_by_series:
            return self._structure[series].plane_count
        return sum(series.plane_count for series in self._structure)

    def _likely_page(self, ref: PlaneRef) -> int:
        """Take the pages of a series' files to be in the order of the planes."""
        before = () if self._files_by_series else self._structure[: ref.series]
        return ref.plane + sum(series.plane_count for series in before)

    def _planes_as_given(self, series: int) -> Iterator[PixelArray]:
        """Read a series whatever its planes are worth; what cannot be read is left out."""
        for plane in range(self._structure[series].plane_count):
            try:
                yield self._pending(PlaneRef(series, plane)).result()[0]
            except SourceFileError:
                continue

    def _all_files(self, companions: Sequence[ExpectedFile]) -> tuple[Path, ...]:
        return tuple(dict.fromkeys([*self._used_files, *(file.path for file in companions)]))


class _PendingPlane:
    """A plane on its way through a slot of shared memory."""

    def __init__(
        self, process: BioFormatsProcess, slot: int, reply: PendingReply, series: Reply
    ) -> None:
        self._process = process
        self._slot = slot
        self._reply = reply
        self._series = series

    def result(self) -> tuple[PixelArray, list[str], int | None]:
        """Wait for the pixels and copy them out.

        Returns
        -------
        tuple of ndarray, list of str, and int or None
            The plane, the log records, and the first byte that is in no file.
        """
        try:
            reply = self._reply.result()
            return self._pixels(), reply["warnings"], reply["unwritten"]
        finally:
            self._process.slots.release(self._slot)

    def discard(self) -> None:
        """Give the slot back once the child has done with it."""
        self._reply.when_done(lambda: self._process.slots.release(self._slot))

    def _pixels(self) -> PixelArray:
        dtype = np.dtype(self._series["dtype"])
        shape = self._series["size_y"], self._series["size_x"]
        stored = dtype.newbyteorder("<" if self._series["little_endian"] else ">")
        shared = np.frombuffer(
            self._process.slots.memory(self._slot),
            dtype=stored,
            count=shape[0] * shape[1],
        )
        return shared.reshape(shape).astype(dtype)


def _ordinary_file(path: Path) -> Path:
    absolute = path.absolute()
    try:
        mode = absolute.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceFileError(f"{absolute}: cannot be opened: {reason}; put it back") from error
    if not stat.S_ISREG(mode):
        raise SourceFileError(
            f"{absolute}: expected an ordinary file, got a folder, pipe or device; leave it out"
        )
    return absolute


def _folders(name: str, path: Path, folder: Path | None) -> list[str]:
    """Give the folders that may be read: the one given, and where links to it are."""
    return list(dict.fromkeys([str(folder or path.parent), str(Path(name).parent)]))


def _why_not_whole(path: Path, names: Utf8Names, reply: Reply) -> str:
    pixel_bytes = sum(
        series["size_x"] * series["size_y"] * series["bytes_per_pixel"] * series["plane_count"]
        for series in reply["series"]
    )
    return why_not_whole(
        reply["format"], _paths(names, reply["used_files"]) or (path,), pixel_bytes
    )


def _refuse_shifted(path: Path, reply: Reply) -> None:
    ours = _SHIFTED.get(reply["format"])
    if ours is None:
        return
    tiffs = [name for name in reply["used_files"] or () if name.lower().endswith((".tif", ".tiff"))]
    there = sum(map(os.path.exists, tiffs))
    declared = sum(series["plane_count"] for series in reply["series"])
    if there < declared:
        got = f"files of {there}" if tiffs else "files that Bio-Formats cannot tell"
        raise SourceFileError(
            f"{path}: {declared} planes expected, {got} got; Bio-Formats takes planes "
            f"behind a missing file for others: register with --microscope {ours}"
        )


def _structure(path: Path, reply: Reply) -> tuple[SeriesStructure, ...]:
    fields = SeriesStructure.__dataclass_fields__
    found = []
    for index, series in enumerate(reply["series"]):
        structure = SeriesStructure(**{name: series[name] for name in fields})
        if structure.plane_count != series["plane_count"]:
            raise SourceFileError(
                f"{path}: series {index} has {series['plane_count']} planes, expected "
                f"{structure.plane_count} by its sizes; convert the file to OME-TIFF"
            )
        found.append(structure)
    return tuple(found)


def _paths(names: Utf8Names, given: Sequence[str] | None) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(names.path(name) for name in given or ()))


def _metadata_files(names: Utf8Names, reply: Reply) -> tuple[Path, ...]:
    told = _paths(names, reply.get("metadata_files"))
    used = _paths(names, reply["used_files"])
    # Some readers, as that of OME-TIFF, count none; deletion must know them all.
    found = tuple(
        file for file in used if file in told or file.suffix.lower() in _METADATA_SUFFIXES
    )
    # Pixels are somewhere: a format that keeps all in one file counts it as metadata.
    return () if found == used else found


def _stamp(companions: Sequence[ExpectedFile]) -> str:
    """Tell one state of the files from another, so that a changed set is opened anew.

    One that was put in a file's place may have its size and time: Bio-Formats
    would go on reading the old one, which it holds open.
    """
    found = []
    for file in companions:
        try:
            state = file.path.stat()
        except OSError:
            found.append("gone")
        else:
            found.append(f"{state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}")
    return xxhash.xxh3_64_hexdigest("\n".join(found).encode()) if found else ""
