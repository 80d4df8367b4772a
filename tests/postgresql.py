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


@contextmanager
def serving() -> Iterator[str]:
    """Start a server with an empty database and give its URL."""
    folder = Path(tempfile.mkdtemp(prefix="imextract-postgresql-"))
    server: subprocess.Popen[bytes] | None = None
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
        port = _free_port()
        server = subprocess.Popen(
            [str(server_binary("postgres")), "-D", str(folder / "data"), "-p", str(port),
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
             # Nothing here outlives the machine, and databases are made by the dozen.
             "-c", "fsync=off"],
            user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _wait(port)
        yield f"postgresql://imextract@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            # "Immediate": it waits for no clients, and flushes nothing.
            server.send_signal(signal.SIGQUIT)
            server.wait(30)
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


def _wait(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            # It listens before it is ready.
            url = f"postgresql://imextract@127.0.0.1:{port}/postgres"
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
