"""``imextract N init|run|collect|cleanup|release``: by hand what the flow does."""

import argparse
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from imextract.batches import CollectBatch, ImextractBatchArguments, RunBatch
from imextract.cli.output import print_error, print_json, print_line, rate, usage_error
from imextract.errors import ConfigError
from imextract.extractor import ImageExtractor
from imextract.records import current_jobs

__all__ = ["cleanup", "collect", "init", "release", "run"]


def init(options: argparse.Namespace) -> int:
    """Share out the planes that are missing into jobs."""
    extractor = ImageExtractor(options.experiment_id)
    arguments = _arguments(options)
    batches = list(extractor.create_run_batches(arguments))
    extractor.create_collect_batch(arguments)
    if options.json:
        print_json({"experiment_id": options.experiment_id, "jobs": len(batches)})
    elif batches:
        print_line(f"{len(batches)} jobs; next: imextract {options.experiment_id} run -j 1")
    else:
        print_line("nothing is missing: no jobs")
    return 0


def run(options: argparse.Namespace) -> int:
    """Extract one job, or all jobs one after the other; 1 if planes failed."""
    extractor = ImageExtractor(options.experiment_id)
    results = []
    for job in _wanted_jobs(options, "run"):
        batch = RunBatch(options.experiment_id, job.batch_id, job.job)
        result = extractor.run_job(batch, options.assume_clean_state)
        results.append(asdict(result))
        for failure in result.failures:
            print_error(f"failed: {failure}")
        if not options.json:
            print_line(
                f"job {result.job}: {result.extracted} planes extracted, "
                f"{result.already_there} already there, {result.failed} failed; "
                f"{rate(result.bytes_in, result.seconds)} MB/s"
            )
    if options.json:
        print_json(results)
    return int(any(result["failed"] for result in results))


def collect(options: argparse.Namespace) -> int:
    """Account for all planes, and delete originals if init was told so; 1 if planes lack."""
    extractor = ImageExtractor(options.experiment_id)
    jobs = current_jobs(options.experiment_id, "collect")
    if jobs:
        batch = CollectBatch(options.experiment_id, jobs[0].batch_id, jobs[0].deletes)
    else:
        batch = extractor.create_collect_batch(ImextractBatchArguments())
    result = extractor.collect_job_output(batch)
    for line in (*(f"failed: {text}" for text in result.failures), *result.notes):
        print_error(line)
    if options.json:
        print_json(asdict(result))
    else:
        print_line(
            f"{result.planned} planes: {result.extracted} extracted, {result.failed} failed, "
            f"{result.absent} absent, {result.unfinished} not done; "
            f"{result.bytes_in / 1e6:.1f} MB stored in {result.bytes_out / 1e6:.1f} MB; "
            f"{result.deleted_files} microscope files deleted, {result.kept_files} there"
        )
    return int(result.failed + result.unfinished > 0)


def cleanup(options: argparse.Namespace) -> int:
    """Delete what was extracted."""
    count = ImageExtractor(options.experiment_id).delete_previous_job_output(options.force)
    if options.json:
        print_json({"experiment_id": options.experiment_id, "planned": count})
    else:
        print_line(f"output deleted; {count} planes are planned")
    return 0


def release(options: argparse.Namespace) -> int:
    """Take the experiment from whoever works on it; that run can then change nothing more."""
    names = ImageExtractor(options.experiment_id).release()
    if options.json:
        print_json({"experiment_id": options.experiment_id, "released": names})
    else:
        print_line(f"released from {'; '.join(names)}" if names else "nobody works on it")
    return 0


def _arguments(options: argparse.Namespace) -> ImextractBatchArguments:
    fields = {name: getattr(options, name) for name in ImextractBatchArguments.model_fields}
    try:
        return ImextractBatchArguments(**fields)
    except ValidationError as error:
        raise usage_error(error) from error


def _wanted_jobs(options: argparse.Namespace, phase: str) -> list[Any]:
    jobs = current_jobs(options.experiment_id, phase)
    wanted = [job for job in jobs if options.job is None or job.job == options.job]
    if not wanted:
        what = "jobs" if options.job is None else f"job {options.job}"
        raise ConfigError(
            f"experiment {options.experiment_id} has no {phase} {what} ({len(jobs)} in all); "
            f"make jobs with `imextract {options.experiment_id} init`"
        )
    return wanted
