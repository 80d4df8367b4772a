"""From the numbers of a CellVoyager's records to zero-based indices."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imextract.registration.microscopes.mlf import Record

__all__ = ["ChannelKey", "Numbers", "Place", "zsteps_um"]

_STACKS_MEASURED = 200


@dataclass(frozen=True, slots=True, order=True)
class ChannelKey:
    """A channel: its number, and the action where several took the same number.

    `processing` tells how the microscope made one plane of a stack, where it
    kept the stack as well.
    """

    channel: int
    action: int | None
    processing: str


@dataclass(frozen=True, slots=True)
class Place:
    """Which plane of a well a record is of."""

    site: int
    channel: ChannelKey
    timeline: int | None
    time_point: int | None
    zindex: int | None


class Numbers:
    """Ranks the numbers of all records of a measurement that tell their place."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._by_action = _channels_of_several_actions(records)
        self._by_processing = _channels_of_several_processings(records)
        self.channels = sorted({self.channel(record) for record in records})
        self._sites = _sites(records)
        self._points = _time_points(records)
        self._timelines = _timelines_of_wells(records)
        self._ranks: dict[frozenset[int], dict[tuple[int, int], int]] = {}

    def channel(self, record: Record) -> ChannelKey:
        """Give the channel of a record."""
        number = record.channel or 0
        return ChannelKey(
            number,
            (record.action or 0) if number in self._by_action else None,
            record.processing if number in self._by_processing else "",
        )

    def place(self, record: Record) -> Place:
        """Give the plane of a record within its well."""
        return Place(
            self.site(record),
            self.channel(record),
            record.timeline,
            record.time_point,
            record.zindex,
        )

    def site(self, record: Record) -> int:
        """Give the site of a record: its field, or tile of a field."""
        return self._sites[record.field or 0, record.tile]

    def zplane(self, record: Record) -> int:
        """Give the zplane of a record; those without a stack have one."""
        return 0 if record.zindex is None else record.zindex - 1

    def tpoint(self, record: Record) -> int:
        """Give the tpoint of a record among those of its well.

        The microscope counts on from one time line to the next, so that a
        well which only the second images would begin in the middle.
        """
        timelines = self.timelines(record) | {record.timeline or 0}
        if timelines not in self._ranks:
            self._ranks[timelines] = self._rank(timelines)
        return self._ranks[timelines][record.timeline or 0, record.time_point or 0]

    def timelines(self, record: Record) -> frozenset[int]:
        """Give the time lines in which the well of a record was imaged."""
        return self._timelines.get((record.row, record.column), frozenset())

    def _rank(self, timelines: frozenset[int]) -> dict[tuple[int, int], int]:
        if len(timelines) == 1:
            (timeline,) = timelines
            points = self._points[timeline]
            return {(timeline, point): point - min(points) for point in points}
        counts = [point for timeline in timelines for point in self._points[timeline]]
        pairs = [(timeline, point) for timeline in timelines for point in self._points[timeline]]
        # Where each time line counts from one, they follow each other.
        goes_on = len(set(counts)) == len(counts)
        pairs.sort(key=lambda pair: (pair[1], pair[0]) if goes_on else pair)
        return {pair: rank for rank, pair in enumerate(pairs)}


def _channels_of_several_actions(records: Sequence[Record]) -> frozenset[int]:
    actions: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
    for record in records:
        # Actions are counted anew in each time line.
        if record.action is not None:
            actions[record.timeline or 0, record.channel or 0].add(record.action)
    return frozenset(channel for (_, channel), found in actions.items() if len(found) > 1)


def _channels_of_several_processings(records: Sequence[Record]) -> frozenset[int]:
    processings: defaultdict[tuple[int, int | None], set[str]] = defaultdict(set)
    for record in records:
        if not record.is_failed:
            processings[record.channel or 0, record.action].add(record.processing)
    return frozenset(channel for (channel, _), found in processings.items() if len(found) > 1)


def _sites(records: Sequence[Record]) -> dict[tuple[int, tuple[int, ...]], int]:
    places = sorted({(record.field or 0, record.tile) for record in records})
    fields = {field for field, _ in places}
    if len(fields) == len(places):
        return {(field, tile): field - 1 for field, tile in places}
    return {place: rank for rank, place in enumerate(places)}


def _time_points(records: Sequence[Record]) -> dict[int, set[int]]:
    points: defaultdict[int, set[int]] = defaultdict(set)
    for record in records:
        points[record.timeline or 0].add(record.time_point or 0)
    return points


def _timelines_of_wells(
    records: Sequence[Record],
) -> dict[tuple[int | None, int | None], frozenset[int]]:
    timelines: defaultdict[tuple[int | None, int | None], set[int]] = defaultdict(set)
    for record in records:
        timelines[record.row, record.column].add(record.timeline or 0)
    return {well: frozenset(found) for well, found in timelines.items()}


def zsteps_um(records: Iterable[Record], numbers: Numbers) -> dict[ChannelKey, float]:
    """Give the distance of z-planes by channel, in the middle of those of some stacks."""
    stacks: dict[tuple[object, ...], dict[int, float]] = {}
    for record in records:
        stack = (
            numbers.channel(record),
            record.row,
            record.column,
            record.field,
            record.tile,
            record.timeline,
            record.time_point,
        )
        if record.z_um is not None and (stack in stacks or len(stacks) < _STACKS_MEASURED):
            stacks.setdefault(stack, {})[numbers.zplane(record)] = record.z_um
    steps: defaultdict[ChannelKey, list[float]] = defaultdict(list)
    for (key, *_), heights in stacks.items():
        for zplane, height in heights.items():
            step = abs(heights.get(zplane + 1, height) - height)
            if step > 0 and isinstance(key, ChannelKey):
                steps[key].append(step)
    return {key: round(sorted(found)[len(found) // 2], 4) for key, found in steps.items()}
