"""Whether tests fail when a protection is taken out: ``python -m benchmarks.mutations``.

Each mutation takes one protection out of a copy of the checkout and runs the
tests that are to notice. Before, all these tests must pass there, untouched.
Prints a table; ends with exit code 1 if a mutation went unnoticed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MUTATIONS", "Mutation"]

_CHECKOUT = Path(__file__).resolve().parents[1]
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".demo", ".*_cache", ".hypothesis", "__pycache__"
)
_LIMIT_S = 120


@dataclass(frozen=True)
class Mutation:
    """A protection, the text that is it, what is put in its place, and the tests for it."""

    protection: str
    module: str
    text: str
    instead: str
    tests: str

    def apply(self, checkout: Path) -> None:
        """Take the protection out of a checkout.

        Raises
        ------
        ValueError
            If its text is not there exactly once.
        """
        path = checkout / self.module
        content = path.read_text(encoding="utf-8")
        if content.count(self.text) != 1:
            raise ValueError(
                f"{path}: expected {self.text!r} once, got it {content.count(self.text)} times; "
                "correct benchmarks/mutations.py"
            )
        path.write_text(content.replace(self.text, self.instead), encoding="utf-8")


_DELETION = "tests/integration/test_deletion.py::"
_STORE = "tests/unit/test_store.py::"

MUTATIONS = (
    Mutation(
        "registration: images without their index are an error, no guess",
        "imextract/registration/lost_index.py",
        "return [Claim(folder, paths[0], frozenset(paths)) for folder, paths in folders.items()]",
        "return []",
        "tests/unit/registration/test_lost_index.py",
    ),
    Mutation(
        "reading: all strips and tiles of a TIFF lie in the file",
        "imextract/readers/tiff_structure.py",
        "            if offset + size > self._length:\n                raise self._damage(\n"
        "                    offset,\n",
        "            if False:\n                raise self._damage(\n                    offset,\n",
        "tests/unit/readers/test_tiff.py::test_a_cut_tiff_is_told_with_offset_expected_and_got",
    ),
    Mutation(
        "reading: a raw file is as long as its pixels need",
        "imextract/readers/wholeness.py",
        "if there >= expected:",
        "if True:",
        "tests/unit/readers/test_wholeness.py",
    ),
    Mutation(
        "reading: Bio-Formats is not believed of pixels that do not decode",
        "imextract/readers/proof.py",
        'return "" if self.holds(plane, likely_page) else "; ".join(self._damages[:3])',
        'return ""',
        "tests/integration/test_damaged_pixels.py::"
        "test_bioformats_is_not_believed_of_pixels_that_do_not_decode",
    ),
    Mutation(
        "reading: Bio-Formats is not believed of planes in files that are bad",
        "imextract/readers/proof.py",
        'is_held = not is_constant(plane) and self._evidence(ref.series).holds(plane)',
        "is_held = True",
        "tests/integration/test_bioformats_faults.py::"
        "test_planes_of_a_bad_file_are_refused_and_the_others_given",
    ),
    Mutation(
        "flow: a run that was taken over changes nothing more",
        "imextract/lease.py",
        "if not leases.has_lease(session, lease.token):",
        "if False:",
        "tests/integration/test_lease.py::"
        "test_a_job_whose_run_was_taken_over_changes_nothing_more",
    ),
    Mutation(
        "flow: who comes second is refused",
        "imextract/lease.py",
        "others = leases.leases_in_the_way(session, experiment_id, batch_id)",
        "others: list[LeaseRow] = []",
        "tests/integration/test_lease.py::test_who_comes_second_is_refused_whatever_he_wants",
    ),
    Mutation(
        "flow: after a death, planes are extracted in a process apart",
        "imextract/extract.py",
        "is_apart = row.is_apart or was_cut_off(session, batch.batch_id)",
        "is_apart = False",
        "tests/integration/test_quarantine.py::test_a_plane_that_ends_its_process_is_given_up_alone",
    ),
    Mutation(
        "deletion: one failed plane keeps all of its acquisition",
        "imextract/deletion.py",
        "if unfinished:",
        "if False:",
        f"{_DELETION}test_one_failed_plane_keeps_the_whole_acquisition",
    ),
    Mutation(
        "deletion: what is stored is read again, from the disk",
        "imextract/proof.py",
        "load_plane(self._place.store, plane, from_disk=True)",
        "load_plane(self._place.store, plane)",
        f"{_DELETION}test_what_is_proven_is_on_the_disk",
    ),
    Mutation(
        "deletion: a constant plane holds its original",
        "imextract/deletion.py",
        "elif plane.is_suspect:",
        "elif False:",
        f"{_DELETION}test_a_constant_plane_holds_its_original_until_accepted",
    ),
    Mutation(
        "deletion: the original, read again, gives what is stored",
        "imextract/proof.py",
        "if checksum_of_pixels(pixels) == plane.checksum:",
        "if True:",
        f"{_DELETION}test_an_original_replaced_by_one_of_the_same_size_and_time_is_kept",
    ),
    Mutation(
        "deletion: intent is recorded first",
        "imextract/deletion.py",
        'move_files(session, case.rows[file.path], "pending_deletion", identity=seen)',
        "seen",
        f"{_DELETION}test_when_an_original_goes_the_ledger_has_said_so_before",
    ),
    Mutation(
        "deletion: nothing behind a symbolic link",
        "imextract/originals.py",
        "elif os.path.realpath(file.path) != str(file.path):",
        "elif False:",
        f"{_DELETION}test_what_a_symbolic_link_leads_to_is_kept",
    ),
    Mutation(
        "storage: a file is flushed before it has its name",
        "imextract/durable.py",
        "        os.fsync(file.fileno())",
        "        file.fileno()",
        f"{_STORE}test_a_file_is_flushed_before_its_name_and_the_name_after",
    ),
    Mutation(
        "storage: a file is written under another name first",
        "imextract/store.py",
        "        return self.incoming / f\"{socket.gethostname()}-",
        "        return self.root / f\"{socket.gethostname()}-",
        f"{_STORE}test_a_file_is_flushed_before_its_name_and_the_name_after",
    ),
    Mutation(
        "storage: who comes late replaces nothing",
        "imextract/store.py",
        "os.rename if replaces else _name_new",
        "os.rename",
        f"{_STORE}test_who_comes_late_replaces_nothing",
    ),
    Mutation(
        "reading: bytes that Bio-Formats did not write are no pixels",
        "imextract/readers/unwritten.py",
        "int(differing[0]) if differing.size else None",
        "None",
        "tests/integration/test_files_that_end_early.py::"
        "test_only_planes_that_are_wholly_there_are_given",
    ),
    Mutation(
        "storage: the checksum of the file is compared when it is read",
        "imextract/stored.py",
        "if found != plane.stored_checksum:",
        "if False:",
        "tests/integration/test_bit_rot.py",
    ),
)  # fmt: skip


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", nargs="*", default=[""], help="protections that hold one of these"
    )
    options = parser.parse_args()
    chosen = [one for one in MUTATIONS if any(part in one.protection for part in options.only)]
    tests = list(dict.fromkeys(one.tests for one in chosen))
    unnoticed = 0
    print("| protection taken out | tests | they |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if said := failure(_copy(Path(folder) / "untouched"), tests, limit_s=_LIMIT_S * 3):
            sys.exit(f"the tests fail with all protections in place: {said}")
        for number, mutation in enumerate(chosen):
            checkout = _copy(Path(folder) / str(number))
            mutation.apply(checkout)
            said = failure(checkout, [mutation.tests])
            unnoticed += not said
            print(f"| {mutation.protection} | {mutation.tests} | {said or 'PASS'} |", flush=True)
            shutil.rmtree(checkout)
    return 1 if unnoticed else 0


def failure(checkout: Path, tests: Sequence[str], limit_s: float = _LIMIT_S) -> str:
    """Run tests in a checkout and say how they fail; nothing if they pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    try:
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True,
            check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"take longer than {limit_s:g} s"
    if done.returncode == 0:
        return ""
    # Tests that cannot be run notice nothing.
    if done.returncode not in (1, -9):
        raise RuntimeError(f"{tests}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return "fail" if done.returncode == 1 else "are killed"


def _copy(place: Path) -> Path:
    shutil.copytree(_CHECKOUT, place, ignore=_LEFT_OUT, symlinks=True)
    return place


if __name__ == "__main__":
    sys.exit(main())
