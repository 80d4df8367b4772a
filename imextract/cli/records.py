"""``imextract N info|log``: from our own records, whoever ran the job."""

import argparse
from dataclasses import asdict

from imextract.cli.output import print_json, print_line, print_table
from imextract.errors import ConfigError
from imextract.records import JobRecord, current_jobs

__all__ = ["info", "log"]


def info(options: argparse.Namespace) -> int:
    """Show jobs: what they hold and how they went."""
    jobs = _jobs(options)
    if options.json:
        print_json([asdict(job) for job in jobs])
        return 0
    headers = ("job", "sites", "planes", "state", "extracted", "there", "failed", "where", "error")
    print_table(headers, (_row(job) for job in jobs))
    return 0


def log(options: argparse.Namespace) -> int:
    """Show the log of the last go at each job."""
    jobs = _jobs(options)
    if options.json:
        print_json([asdict(job) for job in jobs])
        return 0
    for job in jobs:
        print_line(f"--- {job.phase} job {job.job}: {_state(job)}")
        if job.runs:
            print_line(job.runs[0].log)
    return 0


def _jobs(options: argparse.Namespace) -> list[JobRecord]:
    jobs = current_jobs(options.experiment_id, options.phase)
    wanted = [job for job in jobs if options.job is None or job.job == options.job]
    if options.job is not None and not wanted:
        raise ConfigError(
            f"experiment {options.experiment_id} has no {options.phase} job {options.job} "
            f"({len(jobs)} in all)"
        )
    return wanted


def _row(job: JobRecord) -> tuple[object, ...]:
    if not job.runs:
        return job.job, job.sites, job.planes, _state(job), 0, 0, 0, None, None
    last = job.runs[0]
    where = f"{last.host}:{last.process}"
    counts = (last.extracted, last.already_there, last.failed)
    return job.job, job.sites, job.planes, last.state, *counts, where, last.error


def _state(job: JobRecord) -> str:
    return job.runs[0].state if job.runs else "not run"
