"""Failures that a CellVoyager records without the planes that failed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from imextract.registration.microscopes.mlf import Record
from imextract.registration.microscopes.mlf_numbers import Numbers

__all__ = ["records_of_failures"]


def records_of_failures(
    records: Sequence[Record], placed: Sequence[Record], numbers: Numbers
) -> Iterator[Record]:
    """Give a record of each plane that a failure may mean: that others have, and its well lacks.

    A failure to focus is recorded with a well alone, or a field; the planes
    that were to follow have no records.

    Parameters
    ----------
    records
        All records of the measurement.
    placed
        Those of them that tell which plane they are of.
    """
    failures = [
        record
        for record in records
        if record.is_failed and record.has_well and not record.is_placed
    ]
    if not failures:
        return
    alike = {numbers.place(record): record for record in placed}
    taken = {(record.well, numbers.place(record)) for record in placed}
    for failure in {_kind(failure): failure for failure in failures}.values():
        for place, record in alike.items():
            if (failure.well, place) not in taken and _may_mean(failure, record, numbers):
                taken.add((failure.well, place))
                yield replace(record, row=failure.row, column=failure.column)


def _kind(failure: Record) -> tuple[object, ...]:
    return (failure.row, failure.column, *_told(failure))


def _told(record: Record) -> tuple[int | None, ...]:
    return (record.timeline, record.time_point, record.field, record.action, record.channel)


def _may_mean(failure: Record, record: Record, numbers: Numbers) -> bool:
    """Tell whether what a failure says does not speak against a plane."""
    timelines = numbers.timelines(failure)
    if timelines and (record.timeline or 0) not in timelines:
        return False
    pairs = zip(_told(failure), _told(record), strict=True)
    return all(told is None or told == number for told, number in pairs)
