"""Kill extraction, deletion and cleanup: ``python -m benchmarks.attack --kills 1000``.

Each kill hits a process of the command line at a random instant. After each
every plane, stored or original, is compared with the truth, and at the end of
each experiment all must be extracted and proven. Prints how many were; the
first plane that is lost or wrong ends it.
"""

import argparse
import tempfile
from pathlib import Path

from tests.faults.kills import attack_cleanup, attack_extraction, attack_for
from tests.faults.victim import SESSION


def main() -> None:
    """Attack and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| attacked | killed | planes compared | lost |\n|---|---:|---:|---:|")
    for name, attack, words in (
        ("extraction and deletion", attack_extraction, SESSION),
        ("cleanup", attack_cleanup, ("cleanup",)),
    ):
        with tempfile.TemporaryDirectory(prefix="imextract-") as folder:
            outcome = attack_for(options.kills, Path(folder), attack, options.seed, *words)
        print(f"| {name} | {outcome.kills} | {outcome.compared} | 0 |", flush=True)


if __name__ == "__main__":
    main()
