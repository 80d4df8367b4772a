"""Serve our deployments: a Prefect server, if none answers, and a worker, until Ctrl-C."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from scripts.prefect_stack import (
    Program,
    StackError,
    create_work_pool,
    deploy_all,
    is_healthy,
    is_local,
    quiet_settings,
    running_server,
    running_worker,
    wait_until_healthy,
)


def main() -> int:
    """Serve until stopped; 0 when stopped on purpose."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _serve()
    except KeyboardInterrupt:
        print("stopped")
        return 0
    except StackError as error:
        print(f"imextract: {error}", file=sys.stderr)
        return 1


def _serve() -> NoReturn:
    api_url = _api_url()
    environment = {**quiet_settings(), **os.environ, "PREFECT_API_URL": api_url}
    environment.setdefault("PREFECT_WORKER_QUERY_SECONDS", "2")
    with _server_at(api_url, environment) as server:
        create_work_pool(environment)
        deploy_all(environment)
        with running_worker(environment, log=None) as worker:
            _tell(api_url, server)
            programs = [worker, *([server] if server else [])]
            while True:
                for program in programs:
                    program.raise_if_ended()
                time.sleep(1)


def _api_url() -> str:
    """Give the address that the user's Prefect is set to, or the usual one."""
    # Imported here: it takes a second, and reads the user's profile.
    from prefect.settings import get_current_settings

    port = os.environ.get("PREFECT_SERVER_API_PORT") or "4200"
    return get_current_settings().api.url or f"http://127.0.0.1:{port}/api"


@contextmanager
def _server_at(api_url: str, environment: dict[str, str]) -> Iterator[Program | None]:
    """Give the server that was started, None if one was running."""
    if is_healthy(api_url):
        yield None
        return
    if not is_local(api_url):
        raise StackError(
            f"no Prefect server answers at PREFECT_API_URL={api_url}; start it there, "
            "or unset the variable (or `prefect config unset PREFECT_API_URL`) to start one here"
        )
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect")
    home.mkdir(parents=True, exist_ok=True)
    port = str(urlsplit(api_url).port or 4200)
    started = {
        **environment,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": port,
    }
    print(f"starting a Prefect server at {api_url}", flush=True)
    with running_server(started, home / "imextract-server.log") as server:
        wait_until_healthy(server, api_url)
        yield server


def _tell(api_url: str, server: Program | None) -> None:
    page = api_url.removesuffix("/api")
    print(
        f"""
Prefect {"started" if server else "was running"} at {page}
  its deployments:   imextract/default   register/default   pending/pending

In another terminal:
  export PREFECT_API_URL={api_url}
  .venv/bin/imextract register FOLDER --name NAME
  .venv/bin/prefect deployment run imextract/default -p experiment_id=N --watch

Ctrl-C (or kill {os.getpid()}) stops the worker{" and the server" if server else ""}.
""",
        flush=True,
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
