"""``imextract list``."""

import argparse
from dataclasses import asdict

from imextract.cli.output import print_json, print_table
from imextract.experiments import list_experiments

__all__ = ["list_"]


def list_(options: argparse.Namespace) -> int:
    """List all experiments with their planes by state."""
    experiments = list_experiments()
    if options.json:
        print_json([asdict(experiment) for experiment in experiments])
        return 0
    states = ("planned", "extracted", "failed", "absent")
    print_table(
        ("id", "name", "registered", *states),
        (
            (e.experiment_id, e.name, e.created_at, *(e.states[state] for state in states))
            for e in experiments
        ),
    )
    return 0
