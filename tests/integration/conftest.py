"""A Prefect server for the whole session."""

from collections.abc import Iterator

import pytest

from imextract.config import Settings
from tests.deployed import Deployed
from tests.prefect_server import serving


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Our deployments on a real Prefect server, with a process worker."""
    folder = tmp_path_factory.mktemp("deployed")
    environment = {
        "IMEXTRACT_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "IMEXTRACT_STORAGE_URL": str(folder / "planes"),
    }
    with serving(folder, environment) as prefect:
        yield Deployed(Settings.from_environment(environment), folder, prefect)
