"""The secrets of the environment stay there, and what a run starts listens to this machine only."""

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from imextract.config import Settings
from tests.deployed import Bench, Deployed

CHECKOUT = Path(__file__).parents[2]
CALL = "from flows.extraction import imextract; imextract({}, workers=2, memory=700, batch_size=1)"

# As it is and as the URL has it; of an option of the URL; of Prefect.
SECRETS = ("pass/word-S3cret", "pass%2Fword-S3cret", "option-S3cret", "key-S3cret", "auth:S3cret")


@dataclass
class Watch:
    """What can be seen of a process and all that it starts, until it ends."""

    process: psutil.Process
    commands: set[str] = field(default_factory=set)
    listening: set[tuple[int, str]] = field(default_factory=set)

    def __call__(self) -> None:
        # It may end, and be gone, between any two looks.
        with suppress(psutil.NoSuchProcess):
            while self.process.status() != psutil.STATUS_ZOMBIE:
                for process in (self.process, *self.process.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        self._look(process)
                time.sleep(0.05)

    def _look(self, process: psutil.Process) -> None:
        self.commands.add(" ".join(process.cmdline()))
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                self.listening.add((process.pid, connection.laddr.ip))


@dataclass
class Run:
    """A run by way of the Prefect server of the tests, in an environment full of secrets."""

    deployed: Deployed
    database_url: str
    storage_url: str
    watch: Watch | None = None

    @property
    def environment(self) -> dict[str, str]:
        return self.deployed.prefect.environment | {
            "IMEXTRACT_DATABASE_URL": self.database_url,
            "IMEXTRACT_STORAGE_URL": self.storage_url,
            "PREFECT_API_KEY": "key-S3cret",
            "PREFECT_API_AUTH_STRING": "auth:S3cret",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "imextract",
            "PREFECT_LOGGING_LEVEL": "DEBUG",
        }

    def flow(self, experiment: int) -> str:
        """Run the flow, watch it, and give all that it printed."""
        with subprocess.Popen(
            [sys.executable, "-c", CALL.format(experiment)],
            cwd=CHECKOUT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as started:
            self.watch = Watch(psutil.Process(started.pid))
            watching = threading.Thread(target=self.watch)
            watching.start()
            said, _ = started.communicate(timeout=170)
            watching.join()
        return said

    def command(self, *arguments: str) -> str:
        """Run a command and give all that it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "imextract.cli.main", *arguments],
            env=os.environ | self.environment, cwd=CHECKOUT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    def kept_by_prefect(self) -> bytes:
        """Give all that the server keeps: parameters, states, logs, artifacts, results."""
        home = Path(self.environment["PREFECT_HOME"])
        return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def secrets_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def with_secrets(url: str) -> str:
    return url.replace("@", f":{SECRETS[1]}@") + f"?sslpassword={SECRETS[2]}"


def test_a_run_tells_no_secret_to_prefect_or_in_its_processes_and_listens_on_loopback(
    deployed: Deployed, postgresql_url: str, tmp_path: Path
) -> None:
    run = Run(deployed, with_secrets(postgresql_url), str(tmp_path / "planes"))
    settings = Settings(database_url=run.database_url, storage_url=run.storage_url)
    experiment = Bench(settings, tmp_path).experiment("secrets", sites=2)
    (tmp_path / "secrets" / "plate_A01_s0_z0.tif").write_bytes(b"changed, so that its plane fails")

    said = run.flow(experiment)
    told = [run.command(str(experiment), *rest) for rest in (["info"], ["log"], ["--help"])]

    assert "1 failed" in said
    assert run.watch is not None
    # Workers are called as the process that they are forked from.
    assert any("flows.fork_server" in command for command in run.watch.commands)
    assert not secrets_in("\n".join([said, *told, *run.watch.commands]))
    assert b"experiment-%d-failures" % experiment in run.kept_by_prefect()
    assert not secrets_in(run.kept_by_prefect().decode(errors="replace"))
    assert len(run.watch.listening) > 2
    assert {address for _, address in run.watch.listening} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("command", [["1", "info", "-vv"], ["list", "-vv"], ["--help"]])
def test_a_ledger_that_does_not_answer_is_told_without_its_secrets(
    deployed: Deployed, tmp_path: Path, command: list[str]
) -> None:
    run = Run(deployed, with_secrets("postgresql://u@127.0.0.1:1/x"), str(tmp_path / "planes"))
    said = run.command(*command)
    assert "127.0.0.1" in said or command == ["--help"]
    assert not secrets_in(said)


def test_a_run_whose_ledger_does_not_answer_fails_without_telling_its_secrets(
    deployed: Deployed, tmp_path: Path
) -> None:
    run = Run(deployed, with_secrets("postgresql://u@127.0.0.1:1/x"), str(tmp_path / "planes"))
    said = run.flow(1)
    assert "postgresql+psycopg://u:***@127.0.0.1:1/x" in said
    assert b"postgresql+psycopg://u:***@127.0.0.1:1/x" in run.kept_by_prefect()
    assert not secrets_in(said + run.kept_by_prefect().decode(errors="replace"))
