"""Proving many planes, on all cores of the machine."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from imextract.closing import Closing
from imextract.database.planes import (
    PlaneFilter,
    PlaneRecord,
    find_planes,
    plane_location,
    read_planes,
)
from imextract.database.session import Database
from imextract.patience import Patience, StalledError
from imextract.processes import usable_cores
from imextract.proof import AT_ONCE, Proof, ProofKind
from imextract.side_process import ProcessLostError, SideProcess, TimeLimit
from imextract.workplace import Workplace

__all__ = ["PlanesToProve", "Prover", "extracted_planes"]

T = TypeVar("T")

# Planes that are read from the ledger and proven together.
_GROUP = 16
# Planes of one request.
_PIECE = 16
# Those for which a process of its own is worth its start, which takes as long as proving 150
# stored planes. Of these, threads of one process keep some cores as busy. Measured
# (python -m benchmarks --only reading).
_WORTH_A_PROCESS = 200
_STORED_WORTH_A_PROCESS = 1000

_REMEDY = "; bring its disk back or replace the file, and run again"


@dataclass(frozen=True, slots=True)
class PlanesToProve:
    """Planes by their ids, and what is to be proven of them."""

    ids: Sequence[int]
    kind: ProofKind


class Prover(Closing):
    """Proves planes in as many processes as there are cores, or threads if they are few.

    Parameters
    ----------
    plane_count
        About how many planes will be proven.
    """

    def __init__(self, place: Workplace, plane_count: int) -> None:
        self._place = place
        cores = usable_cores()
        self._workers = min(cores, plane_count // _WORTH_A_PROCESS)
        # Stored planes are else proven by threads of this process; originals are read one after
        # the other there.
        self._asks_for_stored = plane_count >= cores * _STORED_WORTH_A_PROCESS
        self._idle: SimpleQueue[SideProcess | None] = SimpleQueue()
        self._at_once = AT_ONCE * cores
        self._threads = ThreadPoolExecutor(self._at_once)
        self._proof: Proof | None = None
        # Of the originals here: one open after the other.
        self._one_thread = ThreadPoolExecutor(1)
        self._limit = TimeLimit(place.settings.read_timeout_s)
        for _ in range(max(1, self._workers)):
            # Started by whom it is needed.
            self._idle.put(None)

    def prove(
        self, wanted: Iterable[tuple[T, Sequence[PlanesToProve]]]
    ) -> Iterator[tuple[T, Mapping[int, str]]]:
        """Prove groups of planes and give what is wrong, group by group, in their order.

        Parameters
        ----------
        wanted
            What a group is called, and its planes. It is asked for a little ahead.

        Raises
        ------
        LedgerError
        """
        waiting: deque[tuple[T, list[Future[Mapping[int, str]]]]] = deque()
        for name, group in wanted:
            jobs = [
                self._threads_for(planes.kind).submit(
                    self._prove, planes.ids[at : at + _PIECE], planes.kind
                )
                for planes in group
                for at in range(0, len(planes.ids), _PIECE)
            ]
            waiting.append((name, jobs))
            while len(waiting) > 2 * self._at_once:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())

    def _threads_for(self, kind: ProofKind) -> ThreadPoolExecutor:
        return self._threads if self._asks(kind) or kind == "stored" else self._one_thread

    def _asks(self, kind: ProofKind) -> bool:
        return self._asks_for_stored if kind == "stored" else self._workers > 0

    def _prove(self, plane_ids: Sequence[int], kind: ProofKind) -> Mapping[int, str]:
        try:
            return (self._ask if self._asks(kind) else self._here)(plane_ids, kind)
        except (ProcessLostError, StalledError):
            # One of them did it.
            return {
                key: text
                for plane_id in plane_ids
                for key, text in self._prove_one(plane_id, kind).items()
            }

    def _here(self, plane_ids: Sequence[int], kind: ProofKind) -> Mapping[int, str]:
        if kind == "stored":
            return self._patiently(Proof(self._place), plane_ids, kind)
        self._proof = self._proof or Proof(self._place)
        try:
            return self._patiently(self._proof, plane_ids, kind)
        except StalledError:
            # It is left behind with its thread, and not to be closed under its hands.
            self._proof = None
            raise

    def _patiently(
        self, proof: Proof, plane_ids: Sequence[int], kind: ProofKind
    ) -> Mapping[int, str]:
        found: dict[int, str] = {}
        patience = Patience(self._limit.of(1) / 2)
        patience.wait_for(f"proof of planes {plane_ids[0]} to {plane_ids[-1]}")
        patience.run(lambda: found.update(proof.errors(plane_ids, kind)))
        return found

    def _prove_one(self, plane_id: int, kind: ProofKind) -> Mapping[int, str]:
        """Prove a plane in a process that may be ended; what it is ended for is an error."""
        try:
            return self._ask([plane_id], kind)
        except ProcessLostError as error:
            name = self._name(plane_id, kind)
            return {plane_id: f"{name}: the process that proved it {error}{_REMEDY}"}

    def _name(self, plane_id: int, kind: ProofKind) -> str:
        with self._place.database.reading() as session:
            (plane,) = read_planes(session, [plane_id])
        if kind == "stored":
            return str(self._place.store.path(plane_location(plane.storage_key, plane.id)))
        source = plane.sources[0]
        return f"{source.source_file}: series {source.ref.series}, plane {source.ref.plane}"

    def _ask(self, plane_ids: Sequence[int], kind: ProofKind) -> Mapping[int, str]:
        process, is_usable = self._idle.get(), False
        request = {"do": "prove", "plane_ids": plane_ids, "kind": kind}
        try:
            process = process or SideProcess(self._place.settings)
            with self._limit.counted():
                reply = process.ask(request, self._limit.of(1))
            is_usable = True
        finally:
            if process is not None and not is_usable:
                process.close()
            # In any case: who waits for it would wait for ever.
            self._idle.put(process if is_usable else None)
        return dict(reply["errors"])

    def close(self) -> None:
        """End all processes; what was not begun is given up."""
        for threads in (self._threads, self._one_thread):
            threads.shutdown(cancel_futures=True)
        if self._proof is not None:
            self._proof.close()
        while not self._idle.empty():
            process = self._idle.get()
            if process is not None:
                process.close()


def extracted_planes(
    database: Database, experiment_id: int, kind: ProofKind
) -> Iterator[tuple[list[PlaneRecord], list[PlanesToProve]]]:
    """Give the extracted planes of an experiment, in the order of their ids, to be proven.

    Raises
    ------
    UnknownExperimentError, LedgerError
    """
    planes = find_planes(database, experiment_id, PlaneFilter(state="extracted"))
    while group := list(islice(planes, _GROUP)):
        yield group, [PlanesToProve([plane.id for plane in group], kind)]


def _result(name: T, jobs: Sequence[Future[Mapping[int, str]]]) -> tuple[T, Mapping[int, str]]:
    return name, {key: text for job in jobs for key, text in job.result().items()}
