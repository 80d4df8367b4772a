"""The demo: a folder of microscope files, extracted by a Prefect flow of its own server.

Everything it makes lies in .demo; the user's own Prefect, database and planes
are not touched.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from imextract.config import Settings
from imextract.errors import ImextractError
from imextract.experiments import ExperimentSummary, list_experiments
from imextract.simulation import layout_of_megabytes, simulate
from scripts.contact_sheet import ContactSheet
from scripts.prefect_stack import (
    CHECKOUT,
    Program,
    StackError,
    create_work_pool,
    deploy_all,
    private_environment,
    running_server,
    running_worker,
    wait_until_healthy,
)

DEFAULT_MEGABYTES = "20"


@dataclass(frozen=True)
class Place:
    """The folder of the demo, and where things lie in it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        """Where imextract keeps planes and ledger."""
        return Settings(
            database_url=f"sqlite:///{self.folder / 'imextract.db'}",
            storage_url=str(self.folder / "planes"),
        )

    def environment(self) -> dict[str, str]:
        """Give the environment of everything that the demo starts."""
        home = self.folder / "prefect"
        home.mkdir(parents=True, exist_ok=True)
        return private_environment(
            home,
            {
                "IMEXTRACT_DATABASE_URL": self.settings.database_url,
                "IMEXTRACT_STORAGE_URL": self.settings.storage_url,
            },
        )

    def experiment(self, name: str) -> ExperimentSummary | None:
        """Give the experiment of a name as it is now, if it is registered."""
        if not (self.folder / "imextract.db").exists():
            return None
        found = (each for each in list_experiments(self.settings) if each.name == name)
        return next(found, None)


@dataclass(frozen=True)
class Outcome:
    """What the flow run did: its exit code, the experiment before and after, the time it took."""

    exit_code: int
    before: ExperimentSummary
    after: ExperimentSummary
    seconds: float


def main() -> int:
    """Run the demo; 0 when the flow run completed."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        place = Path(os.environ.get("DEMO_FOLDER") or CHECKOUT / ".demo").absolute()
        return _demonstrate(Place(place), os.environ.get("DATA", ""), os.environ.get("MB", ""))
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (StackError, ImextractError) as error:
        print(f"imextract: {error}", file=sys.stderr)
        return 1


def _demonstrate(place: Place, data: str, megabytes: str) -> int:
    folder = _own_folder(data) if data else None
    size = _megabytes(megabytes or DEFAULT_MEGABYTES)
    environment = place.environment()
    with running_server(environment, place.folder / "server.log") as server:
        # The server takes its seconds to start while the plate is made.
        folder = folder or _simulated_plate(place, size)
        before = _registered(place, folder, environment)
        with _serving(place, server, environment):
            start = time.monotonic()
            exit_code = _run(before.experiment_id, environment)
            seconds = time.monotonic() - start
    after = place.experiment(before.name) or before
    _report(place, folder, Outcome(exit_code, before, after, seconds))
    return exit_code


def _own_folder(data: str) -> Path:
    folder = Path(data).expanduser().absolute()
    try:
        empty = next(folder.iterdir(), None) is None
    except OSError as error:
        raise StackError(
            f"DATA={data}: {error.strerror}; give a folder of microscope files that you can read"
        ) from error
    if empty:
        raise StackError(f"DATA={data}: is empty; give a folder of microscope files")
    return folder


def _megabytes(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise StackError(f"MB={text}: expected a number of megabytes, such as MB=200") from error


def _simulated_plate(place: Place, megabytes: float) -> Path:
    """Give the simulated plate of a size, made in an earlier demo or now."""
    folder = place.folder / f"plate-{megabytes:g}MB"
    if (folder / "Images" / "Index.idx.xml").exists():
        _say(f"using the simulated plate in {_short(folder)}")
        return folder
    if folder.exists():
        # Its index is written last: this one was not finished.
        shutil.rmtree(folder)
    layout = layout_of_megabytes(megabytes)
    _say(
        f"simulating a plate as PerkinElmer's Operetta writes it: {layout.wells} wells, "
        f"{layout.sites} sites, {layout.channels} channels, {layout.zplanes} z-planes"
    )
    plate = simulate(folder, "operetta", layout)
    _say(f"{plate.planes} planes, {plate.pixel_bytes / 1e6:.0f} MB of pixels in {_short(folder)}")
    return folder


def _registered(place: Place, folder: Path, environment: Mapping[str, str]) -> ExperimentSummary:
    """Give the experiment of a folder as it is now, from an earlier demo or registered now."""
    name = f"{folder.name[:100]} ({_fingerprint(folder)})"
    if found := place.experiment(name):
        _say(f"registered already: experiment {found.experiment_id}")
        return found
    _say(f"imextract register {_short(folder)}")
    command = [_program("imextract"), "register", str(folder), "--name", name]
    # Its last lines tell what to do next, which the demo does.
    done = subprocess.run(command, env=dict(environment), stdout=subprocess.DEVNULL, check=False)
    found = place.experiment(name) if done.returncode == 0 else None
    if not found:
        sys.exit(done.returncode or 1)
    planned = found.states.get("planned", 0)
    _say(f"experiment {found.experiment_id}: {planned} planes to extract")
    return found


def _fingerprint(folder: Path) -> str:
    """Tell a folder from others and from itself before a change."""
    digest = hashlib.sha256(os.fsencode(folder))
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest.update(os.fsencode(path) + f"|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:8]


@contextmanager
def _serving(place: Place, server: Program, environment: Mapping[str, str]) -> Iterator[None]:
    api_url = environment["PREFECT_API_URL"]
    _say(f"waiting for the Prefect server at {api_url.removesuffix('/api')}")
    wait_until_healthy(server, api_url)
    create_work_pool(environment)
    with running_worker(environment, place.folder / "worker.log"):
        deploy_all(environment)
        yield


def _run(experiment_id: int, environment: Mapping[str, str]) -> int:
    run = ["deployment", "run", "imextract/default", "-p", f"experiment_id={experiment_id}"]
    _say(f"prefect {' '.join(run)} --watch")
    command = [_program("prefect"), "--no-prompt", *run, "--watch"]
    wide = {"COLUMNS": "120", **environment}
    return subprocess.run(command, env=wide, cwd=CHECKOUT, check=False).returncode


def _report(place: Place, folder: Path, outcome: Outcome) -> None:
    after, planned = outcome.after, sum(outcome.after.states.values())
    extracted = after.states.get("extracted", 0)
    new = extracted - outcome.before.states.get("extracted", 0)
    _say(f"experiment {after.experiment_id}, {folder}")
    if planned == extracted and not new:
        print(f"  nothing was left to extract: all {planned} planes were already there")
    else:
        counts = ", ".join(f"{count} {state}" for state, count in after.states.items() if count)
        print(f"  {counts}; {new} extracted now, the run took {outcome.seconds:.0f} s")
    if outcome.exit_code:
        print(f"  the run failed; its log: {_short(place.folder / 'worker.log')}")
    if extracted:
        sheet = ContactSheet.of(after.experiment_id, place.settings)
        picture = sheet.write(place.folder / "contact-sheet.png")
        pixels, stored = sheet.pixel_bytes / 1e6, sheet.stored_bytes / 1e6
        print(
            f"  {pixels:.1f} MB of pixels, {stored:.1f} MB stored\n"
            f"  a picture of some planes:  {_short(picture)}\n"
            f"  one HDF5 file per plane:   {_short(place.folder / 'planes')}"
        )
    print(f"""
To look further:
  export IMEXTRACT_DATABASE_URL='{place.settings.database_url}'
  export IMEXTRACT_STORAGE_URL='{place.settings.storage_url}'
  .venv/bin/imextract {after.experiment_id} info
  .venv/bin/imextract {after.experiment_id} planes""")


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _short(path: Path) -> Path:
    return path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path


def _say(line: str) -> None:
    print(f"\n==> {line}", flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
