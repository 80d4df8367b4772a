"""What a run leaves for people to look at: artifacts, a summary, a last word."""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.parameters import Summary
from flows.waves import Harvest
from imextract.batches import CollectResult
from imextract.errors import ImextractError

__all__ = [
    "IncompleteExtractionError",
    "publish",
    "require_all",
    "show_progress",
    "summarise",
]

# Rows of a table artifact; the UI loads all of them at once.
MAX_ROWS = 500
# Failures named in the message of a failed run.
MAX_NAMED = 5


class IncompleteExtractionError(ImextractError, RuntimeError):
    """A run ended with planes that failed or are not extracted."""


def show_progress(experiment_id: int, shares: Iterable[float]) -> None:
    """Follow a wave to its end and keep its progress visible."""
    created = create_progress_artifact(
        progress=0.0,
        key=f"experiment-{experiment_id}-progress",
        description=f"Batches of experiment {experiment_id} that are done",
    )
    artifact = cast("UUID", created)  # not a coroutine: this flow is not async
    for share in shares:
        update_progress_artifact(artifact, progress=round(100 * share, 1))


def summarise(harvest: Harvest, outcome: CollectResult, seconds: float) -> Summary:
    """Put a run into numbers; bytes and rate are those of the planes extracted now."""
    extracted = sum(result.extracted for result in harvest.results)
    bytes_in = sum(result.bytes_in for result in harvest.results)
    return {
        "planned": outcome.planned,
        "extracted": extracted,
        "already_there": outcome.extracted - extracted,
        "failed": outcome.failed,
        "absent": outcome.absent,
        "bytes_in": bytes_in,
        "bytes_out": sum(result.bytes_out for result in harvest.results),
        "seconds": round(seconds, 2),
        "mb_per_s": round(bytes_in / 1e6 / seconds, 1) if extracted else 0.0,
    }


def require_all(experiment_id: int, outcome: CollectResult, harvest: Harvest) -> None:
    """Fail the run if it owes planes.

    Raises
    ------
    IncompleteExtractionError
        If a planned plane failed or is not extracted; names the first of them.
    """
    if not outcome.failed and not outcome.unfinished:
        return
    reasons = [*outcome.failures, *(harvest.losses.values() if outcome.unfinished else ())]
    named = "; ".join(reasons[:MAX_NAMED]) or "see the log"
    more = f"; and {len(reasons) - MAX_NAMED} more" if len(reasons) > MAX_NAMED else ""
    raise IncompleteExtractionError(
        f"experiment {experiment_id}: of {outcome.planned} planes {outcome.failed} failed and "
        f"{outcome.unfinished} are not extracted yet: {named}{more}. All others are extracted; "
        f"`imextract {experiment_id} planes --state failed` lists the failed ones; correct the "
        "cause and run again, which extracts only what is missing"
    )


def publish(experiment_id: int, summary: Summary, harvest: Harvest, outcome: CollectResult) -> None:
    """Leave the artifacts of a run: its summary, its failures, its batches."""
    key = f"experiment-{experiment_id}"
    create_markdown_artifact(
        _markdown(experiment_id, summary, outcome),
        key=f"{key}-summary",
        description=f"Experiment {experiment_id}: what was extracted",
    )
    failures = [*outcome.failures, *harvest.losses.values()]
    if failures:
        create_table_artifact(
            [{"failure": line} for line in failures[:MAX_ROWS]],
            key=f"{key}-failures",
            description=_first_of(len(failures), "failures"),
        )
    if harvest.results:
        create_table_artifact(
            _batch_rows(harvest),
            key=f"{key}-batches",
            description=_first_of(len(harvest.results), "batches"),
        )


def _batch_rows(harvest: Harvest) -> list[dict[str, Any]]:
    results = sorted(harvest.results, key=lambda result: result.job)
    return [
        {
            "job": result.job,
            "planned": result.planned,
            "extracted": result.extracted,
            "already there": result.already_there,
            "failed": result.failed,
            "MB in": round(result.bytes_in / 1e6, 1),
            "MB out": round(result.bytes_out / 1e6, 1),
            "seconds": round(result.seconds, 2),
        }
        for result in results[:MAX_ROWS]
    ]


def _markdown(experiment_id: int, summary: Summary, outcome: CollectResult) -> str:
    done = outcome.extracted == outcome.planned
    verdict = "all planes are extracted" if done else "not all planes are extracted"
    numbers = {
        "planes planned": summary["planned"],
        "extracted now": summary["extracted"],
        "already there": summary["already_there"],
        "failed": summary["failed"],
        "unfinished": outcome.unfinished,
        "absent in the source": summary["absent"],
        "suspect (one constant value)": outcome.suspect,
        "MB of pixels read now": round(summary["bytes_in"] / 1e6, 1),
        "MB stored now": round(summary["bytes_out"] / 1e6, 1),
        "seconds": summary["seconds"],
        "MB/s": summary["mb_per_s"],
        "microscope files deleted": outcome.deleted_files,
        "microscope files kept": outcome.kept_files,
    }
    lines = [f"## Experiment {experiment_id}: {verdict}", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in numbers.items()]
    lines += ["", *(f"* {note}" for note in outcome.notes)]
    return "\n".join(lines)


def _first_of(count: int, things: str) -> str:
    return f"{count} {things}" if count <= MAX_ROWS else f"The first {MAX_ROWS} of {count} {things}"
