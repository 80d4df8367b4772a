"""What tasks in worker processes are told of this flow's Prefect API and settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import SettingsContext, get_settings_context
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import PrivateAttr

__all__ = ["api_for_workers"]


@contextmanager
def api_for_workers() -> Iterator[None]:
    """Let tasks in worker processes talk to the Prefect API that this flow talks to.

    Without a server of the user's own, a flow starts one for its lifetime;
    its workers would each start another.
    """
    api_url = str(get_client(sync_client=True).api_url)
    with temporary_settings({PREFECT_API_URL: api_url}):
        now = get_settings_context()
        with _WrittenOnce(profile=now.profile, settings=now.settings):
            yield


class _WrittenOnce(SettingsContext):
    """Settings that go along with every task, and do not change meanwhile.

    To write out all of Prefect's settings takes most of what it costs a flow
    to submit a task.
    """

    _written: dict[bool, dict[str, Any]] = PrivateAttr(default_factory=dict)

    def serialize(self, include_secrets: bool = True) -> dict[str, Any]:
        """Give the settings as plain values, the same ones each time."""
        if include_secrets not in self._written:
            self._written[include_secrets] = super().serialize(include_secrets)
        return self._written[include_secrets]
