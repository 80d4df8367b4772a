"""Images that belong to an `.nd` file, found by their names.

An image is named after the `.nd` file, then `_w` and the number and name of
its wavelength, `_s` and the number of its stage position, `_t` and that of its
time point: `screen.nd`, `screen_w1DAPI_s3_t2.stk`. Numbers that can only be
one are left out. Programs replace characters in the name of the wavelength
that file names cannot hold, so that any name will do; but the declared one is
looked for first, as it may itself end like a number: "Conf_s3".
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imextract.config import Settings
from imextract.errors import SourceFileError
from imextract.readers.source import open_source
from imextract.registration.channels import distinct
from imextract.registration.files import FoundFiles
from imextract.registration.left_out import left_out
from imextract.registration.lost_index import lost_index, orphans
from imextract.registration.manifest import ChannelInfo, Manifest, Problem
from imextract.registration.metamorph_tiff import StackHeader, read_stack_header
from imextract.registration.microscopes.protocol import Claim
from imextract.registration.nd_text import NdExperiment, decode_nd, is_nd, parse_nd
from imextract.registration.options import ManifestOptions
from imextract.registration.plane_files import PlaneFile, manifest_of_planes
from imextract.registration.wells import parse_well_name, well_name

__all__ = ["claim_nd", "read_nd"]

_NUMBERS = re.compile(
    r"(_thumb)?(?:_w(?P<w>[0-9]{1,4})(?P<name>.*?))?(?:_s(?P<s>[0-9]{1,6}))?"
    r"(?:_t(?P<t>[0-9]{1,7}))?\.(?:stk|tif|tiff)",
    re.IGNORECASE | re.DOTALL,
)
_THUMBNAIL = re.compile(r"_thumb(?:_.*)?\.(?:jpg|jpeg|bmp|png|tif|tiff)", re.IGNORECASE | re.DOTALL)
_STAGE = re.compile(
    r"row:\s*([A-Za-z]{1,2}|[0-9]{1,2})\s*,\s*column:\s*([0-9]{1,2})\s*(?:,\s*site:\s*([0-9]{1,6}))?",
    re.IGNORECASE,
)
# Only MetaMorph's programs write `.stk`; a TIFF may be called so by anybody.
_NUMBERED_STACK = re.compile(
    r".+?(?:_w[0-9]{1,4}.*?(?:_s[0-9]{1,6})?|_s[0-9]{1,6})(?:_t[0-9]{1,7})?\.stk|.+?_t[0-9]{1,7}\.stk",
    re.IGNORECASE | re.DOTALL,
)
_LARGEST_BYTES = 64 * 2**20
_HEAD_BYTES = 4096
_DEFAULT_WELL = "A01"


@dataclass(frozen=True, slots=True)
class _Image:
    """An image file and the numbers of its name, one-based, None where left out."""

    path: str
    wave: int | None
    stage: int | None
    tpoint: int | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stage position lies; `number` is ranked later."""

    well: str
    number: int


def claim_nd(found: FoundFiles, *, is_visiview: bool) -> list[Claim]:
    """Claim the `.nd` files of one of the two programs, and what is named after them.

    Stacks that lost their `.nd` file, or whose `.nd` file is none, are MetaMorph's.
    """
    entries = sorted(_nd_files(found), key=lambda path: (-len(path), path))
    files: defaultdict[str, set[str]] = defaultdict(set)
    for path, entry in _owners(_by_folder(found), entries).items():
        files[entry].add(path)
    claims = [
        Claim(_split(entry)[0], entry, frozenset(files[entry] | {entry}))
        for entry in sorted(entries)
        if _is_visiview(_text(found, entry)) is is_visiview
    ]
    return claims if is_visiview else [*claims, *orphans(found, claims, _is_numbered_stack)]


def read_nd(
    found: FoundFiles,
    claim: Claim,
    options: ManifestOptions,
    settings: Settings,
    microscope_type: str,
) -> Manifest:
    """Give the planes of an `.nd` file, those that are not there as absent ones.

    Raises
    ------
    SourceFileError
        If the file makes no sense.
    RegistrationError
        If none of its images can be read.
    """
    if _is_numbered_stack(claim.entry):
        remedy = "--pattern or --microscope bioformats"
        raise lost_index(claim, "MetaMorph or VisiView", ".nd file", remedy)
    text = _text(found, claim.entry)
    if not is_nd(text):
        raise SourceFileError(
            f"{found.folder / claim.entry}: expected a file of MetaMorph or VisiView "
            '("NDInfoFile"), as images are named after it; copy it again from the microscope, '
            "or remove it and register with --microscope bioformats"
        )
    try:
        experiment = parse_nd(text)
    except SourceFileError as error:
        raise SourceFileError(f"{found.folder / claim.entry}: {error.message}") from error
    problems = [Problem("warning", claim.entry, warning) for warning in experiment.warnings]
    channels = _channels(experiment)
    images = _Images(found, claim, experiment, problems)
    plate = _plate_name(claim)
    planes = list(_planes(plate, experiment, channels, images, problems, claim.entry))
    return manifest_of_planes(
        found,
        microscope_type,
        planes,
        acquisition=None,
        options=options,
        settings=settings,
        channels=channels,
        metadata=[claim.entry],
        metadata_text=text,
        problems=problems,
    )


def _nd_files(found: FoundFiles) -> list[str]:
    """Give the files that are `.nd` files by their text, or because images are named after them."""
    by_folder = _by_folder(found)
    return [
        path
        for path, file in found.files.items()
        if path.lower().endswith(".nd")
        and file.size_bytes <= _LARGEST_BYTES
        and (is_nd(_text(found, path, _HEAD_BYTES)) or _has_numbered(by_folder, path))
    ]


def _has_numbered(by_folder: Mapping[str, Collection[str]], entry: str) -> bool:
    folder, stem = _split(entry)
    rests = (name[len(stem) :] for name in by_folder[folder] if name.startswith(f"{stem}_"))
    matches = (_NUMBERS.fullmatch(rest) for rest in rests)
    return any(match and (match["w"] or match["s"] or match["t"]) for match in matches)


def _is_numbered_stack(name: str) -> bool:
    return _NUMBERED_STACK.fullmatch(name) is not None


def _text(found: FoundFiles, path: str, size: int = _LARGEST_BYTES) -> str:
    try:
        with open_source(found.folder / path) as stream:
            return decode_nd(stream.read(size))
    except OSError:
        # Not to be read, so not recognised; other types tell of such a file.
        return ""


def _is_visiview(text: str) -> bool:
    """Tell VisiView's files, which name wells, from MetaMorph's."""
    return "visiview" in text.lower() or bool(re.search(r'"Stage[0-9]+",\s*"row:', text))


def _plate_name(claim: Claim) -> str:
    """Name the plate by its `.nd` file; where that lies deeper, by its folder as well."""
    folder, stem = _split(claim.entry)
    parent = folder.rpartition("/")[2]
    return stem if parent in ("", stem) else f"{parent}_{stem}"


def _by_folder(found: FoundFiles) -> Mapping[str, Collection[str]]:
    return {
        folder: dict.fromkeys(path.rpartition("/")[2] for path in paths)
        for folder, paths in found.by_folder().items()
    }


def _owners(by_folder: Mapping[str, Collection[str]], entries: Sequence[str]) -> Mapping[str, str]:
    """Give the `.nd` file of each file that is named after one."""
    owner: dict[str, str] = {}
    alike = Counter(entry.casefold() for entry in entries)
    for is_exact in (True, False):
        # Upper and lower case are the same to the programs, unless two files claim that.
        some = [entry for entry in entries if is_exact or alike[entry.casefold()] == 1]
        # The longest name first, so that "a_s1.nd" has its images before "a.nd" has
        # them; but "a_s1.tif", that has no number after it, is one of "a.nd".
        for has_number in (True, False):
            for entry in some:
                folder, stem = _split(entry)
                for name in by_folder[folder]:
                    own = stem + name[len(stem) :]
                    is_named = name == own or (
                        not is_exact and _is_spelt(name, own, by_folder[folder])
                    )
                    if is_named and _belongs(own, stem, has_number=has_number):
                        owner.setdefault(_join(folder, name), entry)
    return owner


def _is_spelt(name: str, own: str, names: Collection[str]) -> bool:
    """Tell whether a name is another one but for case, and the only such file."""
    return name.casefold() == own.casefold() and own not in names


def _belongs(name: str, stem: str, *, has_number: bool) -> bool:
    rest = name[len(stem) :] if name.startswith(stem) else ""
    if rest.startswith("_") is not has_number:
        return False
    return bool(_NUMBERS.fullmatch(rest) or _THUMBNAIL.fullmatch(rest))


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name[: -len(".nd")]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _channels(experiment: NdExperiment) -> tuple[ChannelInfo, ...]:
    names = (wave.name or f"channel_{index}" for index, wave in enumerate(experiment.waves))
    return tuple(ChannelInfo(name) for name in distinct(names))


class _Images:
    """The images of an experiment by their wavelength, stage position and time point.

    Names that tell what the experiment does not declare are noted as problems.
    """

    def __init__(
        self,
        found: FoundFiles,
        claim: Claim,
        experiment: NdExperiment,
        problems: list[Problem],
    ) -> None:
        self.folder, self.stem = _split(claim.entry)
        self._found = found
        self._experiment = experiment
        self._declared = _declared_names(experiment)
        self._images: defaultdict[tuple[int, int, int | None], list[str]] = defaultdict(list)
        strangers = [image.path for image in self._named(claim) if not self._add(image)]
        reason = f"is named after {claim.entry}, but with numbers that it does not declare"
        problems.extend(left_out(strangers, reason))

    def files(self, wave: int, stage: int, tpoint: int | None) -> list[str]:
        """Give the files of zero-based indices; more than one is one too many."""
        return self._images.get((wave, stage, tpoint), [])

    def expected(self, wave: int, stage: int, tpoint: int) -> str:
        """Give the name that a missing file should have."""
        experiment = self._experiment
        name = re.sub(r"[_/\\]", "-", experiment.waves[wave].name or "")
        parts = [
            f"_w{wave + 1}{name}" if len(experiment.waves) > 1 or name else "",
            f"_s{stage + 1}" if experiment.stages else "",
            f"_t{tpoint + 1}" if experiment.tpoints > 1 else "",
        ]
        suffix = "stk" if experiment.waves[wave].zplanes > 1 else "tif"
        return _join(self.folder, f"{self.stem}{''.join(parts)}.{suffix}")

    def header(self, path: str, count: int) -> StackHeader | None:
        """Read how many planes a file holds, and how large its pixels are.

        Single planes that are plain TIFFs are many, and tell nothing here.
        """
        if count == 1 and not path.lower().endswith(".stk"):
            return None
        return read_stack_header(self._found.folder / path)

    def _named(self, claim: Claim) -> Iterator[_Image]:
        start = len(_join(self.folder, self.stem))
        for path in self._found.files:
            match = self._numbers(path[start:]) if path in claim.files else None
            if match is not None and match[1] is None:
                yield _Image(path, _number(match["w"]), _number(match["s"]), _number(match["t"]))

    def _numbers(self, rest: str) -> re.Match[str] | None:
        match = _NUMBERS.fullmatch(rest)
        declared = self._declared.get(_number(match["w"])) if match is not None else None
        return match if declared is None else declared.fullmatch(rest) or match

    def _add(self, image: _Image) -> bool:
        """Add an image under its indices, if they are declared."""
        experiment = self._experiment
        wave = _index(image.wave, len(experiment.waves))
        stage = _index(image.stage, max(1, len(experiment.stages)))
        if wave is None or stage is None:
            return False
        tpoint = _index(image.tpoint, experiment.tpoints)
        if tpoint is None and image.tpoint is not None:
            return False
        # A file without a time point, where there are many, holds them all.
        self._images[wave, stage, tpoint].append(image.path)
        return True


def _declared_names(experiment: NdExperiment) -> Mapping[int | None, re.Pattern[str]]:
    """Give what follows the `.nd` file's name, by the one-based number of the wavelength.

    No stage position or time point is looked for where only one is declared.
    """
    stage = "(?:_s(?P<s>[0-9]{1,6}))?" if experiment.stages else "(?P<s>(?!))?"
    tpoint = "(?:_t(?P<t>[0-9]{1,7}))?" if experiment.tpoints > 1 else "(?P<t>(?!))?"
    return {
        number: re.compile(
            f"(_thumb)?_w(?P<w>0*{number}){_replaceable(wave.name)}{stage}{tpoint}"
            r"\.(?:stk|tif|tiff)",
            re.IGNORECASE | re.DOTALL,
        )
        for number, wave in enumerate(experiment.waves, start=1)
        if wave.name
    }


def _replaceable(name: str) -> str:
    """Give the pattern of a name whose odd characters may have been replaced."""
    return "".join(letter if letter.isalnum() else "." for letter in name)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _index(number: int | None, count: int) -> int | None:
    """Give the zero-based index of a number; what is left out is the only one."""
    if number is None:
        return 0 if count == 1 else None
    return number - 1 if 1 <= number <= count else None


def _planes(
    plate: str,
    experiment: NdExperiment,
    channels: Sequence[ChannelInfo],
    images: _Images,
    problems: list[Problem],
    entry: str,
) -> Iterator[PlaneFile]:
    for stage, place in _places(experiment, problems, entry).items():
        for wave, channel in enumerate(channels):
            plane = PlaneFile(
                plate=plate,
                well=place.well,
                site=place.number,
                channel=channel.name,
                tpoint=0,
                zplane=0,
                path=None,
                pixel_size_z_um=experiment.zstep_um,
            )
            yield from _planes_of_stage(plane, stage, wave, experiment, images, problems)


def _planes_of_stage(
    plane: PlaneFile,
    stage: int,
    wave: int,
    experiment: NdExperiment,
    images: _Images,
    problems: list[Problem],
) -> Iterator[PlaneFile]:
    """Give the planes of one wavelength at one stage position, time point by time point."""
    zplanes = experiment.waves[wave].zplanes
    for path in images.files(wave, stage, None) if experiment.tpoints > 1 else ():
        # Time points in one file, as MetaMorph keeps fast ones.
        if zplanes > 1:
            text = "its name tells no time point, but several of a focus series are declared"
            problems.append(Problem("error", path, f"{text}; name the file as MetaMorph does"))
            continue
        yield from _pages(plane, path, experiment.tpoints, "tpoint", images, problems)
    if experiment.tpoints > 1 and images.files(wave, stage, None):
        return
    for tpoint in range(experiment.tpoints):
        at_time = replace(plane, tpoint=tpoint)
        files = images.files(wave, stage, tpoint)
        for path in files or [images.expected(wave, stage, tpoint)]:
            yield from _pages(at_time, path, zplanes, "zplane", images, problems)


def _pages(
    plane: PlaneFile,
    path: str,
    count: int,
    dimension: str,
    images: _Images,
    problems: list[Problem],
) -> Iterator[PlaneFile]:
    """Give the planes of a file whose pages are z-planes or time points."""
    header = images.header(path, count)
    held = count if header is None or header.planes is None else header.planes
    if held < count:
        text = f"holds {held} planes, but {count} are declared: the others are absent"
        problems.append(Problem("warning", path, text))
    size = None if header is None else header.pixel_size_um
    for page in range(count):
        yield replace(
            plane,
            path=path if page < held else None,
            page=page,
            pixel_size_x_um=size,
            pixel_size_y_um=size,
            tpoint=page if dimension == "tpoint" else plane.tpoint,
            zplane=page if dimension == "zplane" else plane.zplane,
        )


def _places(experiment: NdExperiment, problems: list[Problem], entry: str) -> dict[int, _Place]:
    """Give the well and site of each stage position, by its zero-based index.

    Where no name tells a well, all positions are sites of one.
    """
    matches = [_STAGE.fullmatch(name) for name in experiment.stages]
    if not any(matches):
        count = max(1, len(experiment.stages))
        return {index: _Place(_DEFAULT_WELL, index) for index in range(count)}
    places: dict[int, _Place] = {}
    for index, (name, match) in enumerate(zip(experiment.stages, matches, strict=True)):
        well = None if match is None else _well(match[1], match[2])
        if well is None or match is None:
            text = f"stage position {index + 1} is called {name!r}, which tells no well: left out"
            problems.append(Problem("warning", entry, text))
        else:
            places[index] = _Place(well, int(match[3] or 1))
    ranks = {
        number: rank for rank, number in enumerate(sorted({p.number for p in places.values()}))
    }
    return {index: replace(place, number=ranks[place.number]) for index, place in places.items()}


def _well(row: str, column: str) -> str | None:
    """Name a well whose row is a letter or a one-based number."""
    try:
        if row.isdecimal():
            return well_name(int(row) - 1, int(column) - 1)
        return well_name(*parse_well_name(f"{row}{column}"))
    except ValueError:
        return None
