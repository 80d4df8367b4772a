"""Kill extraction, deletion and cleanup: ``python -m benchmarks.attack --kills 1000 --flows 20``.

Each kill hits a process of the command line at a random instant, or, of a run
of the flow, the run, one of its Dask workers, the Prefect server, or all at
once. After each every plane, stored or original, is compared with the truth,
and at the end of each experiment all must be extracted and proven. Prints how
many were; the first plane that is lost or wrong ends it. `--shared 50 --data FOLDER` kills
sessions with deletion on simulated and real microscope folders, each of which two
experiments share, and half of whose files are cut short in one copy of them.
"""

import argparse
import tempfile
from pathlib import Path

from tests.faults.flow_kills import attack_flow
from tests.faults.kills import attack_cleanup, attack_extraction, attack_for
from tests.faults.shared_folders import attack_shared
from tests.faults.victim import SESSION


def main() -> None:
    """Attack and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of each kind")
    parser.add_argument("--flows", type=int, default=0, help="experiments that flows extract")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", type=int, default=0, help="kills on folders shared by two")
    parser.add_argument("--data", type=Path, help="folder of real files, for --shared")
    options = parser.parse_args()
    kinds = (
        ("extraction and deletion", attack_extraction, SESSION),
        ("cleanup", attack_cleanup, ("cleanup",)),
    )
    print("| attacked | killed | planes compared | lost |\n|---|---:|---:|---:|")
    for name, attack, words in kinds if options.kills else ():
        with tempfile.TemporaryDirectory(prefix="imextract-") as folder:
            outcome = attack_for(options.kills, Path(folder), attack, options.seed, *words)
        print(f"| {name} | {outcome.kills} | {outcome.compared} | 0 |", flush=True)
    if options.shared:
        with tempfile.TemporaryDirectory(prefix="imextract-") as folder:
            outcome = attack_shared(options.shared, Path(folder), options.data, options.seed)
        print(f"| shared folders | {outcome.kills} | {outcome.compared} | 0 |", flush=True)
    for number in range(options.flows):
        with tempfile.TemporaryDirectory(prefix="imextract-") as folder:
            outcome = attack_flow(Path(folder), options.seed + number, rounds=2)
        print(f"| runs of flow {number} | {outcome.kills} | {outcome.compared} | 0 |", flush=True)


if __name__ == "__main__":
    main()
