"""A PostgreSQL server of the test's own, on loopback, stopped by who started it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


def server_binary(name: str) -> str | None:
    """Find a program of the PostgreSQL server, which Debian keeps off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(versions[0]) if versions else shutil.which(name)


class PostgreSql:
    """A server that may be stopped and started again; its data stay."""

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder = folder
        self._user = user
        self._port = _free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://imextract@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._server = subprocess.Popen(
            [str(server_binary("postgres")), "-D", str(self._folder / "data"),
             "-p", str(self._port),
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
             # Nothing here outlives the machine, and databases are made by the dozen.
             "-c", "fsync=off"],
            user=self._user, cwd=self._folder,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _wait(self.url)

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        if self._server is not None:
            # "Immediate": it waits for no clients, and flushes nothing.
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(30)
            self._server = None


@contextmanager
def serving() -> Iterator[str]:
    """Start a server with an empty database and give its URL."""
    with running() as server:
        yield server.url


@contextmanager
def running() -> Iterator[PostgreSql]:
    """Start a server with an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="imextract-postgresql-"))
    server: PostgreSql | None = None
    try:
        user = _ordinary_user()
        if user is not None:
            # The server refuses to run as root.
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        _run(
            user,
            "initdb",
            "--no-sync",
            "-D",
            str(folder / "data"),
            "-U",
            "imextract",
            "-A",
            "trust",
        )
        server = PostgreSql(folder, user)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _ordinary_user() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _run(user: str | None, program: str, *arguments: str) -> None:
    subprocess.run(
        [str(server_binary(program)), *arguments],
        user=user, cwd="/", check=True, capture_output=True, timeout=120,
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str) -> None:
    end = time.monotonic() + 200
    while True:
        try:
            # It listens before it is ready.
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
