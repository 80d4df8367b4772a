"""The database and storage of some settings, opened together."""

from dataclasses import dataclass
from typing import Self

from imextract.config import Settings, default_database_url
from imextract.database.session import Database
from imextract.store import FolderStore, open_store

__all__ = ["Workplace"]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where planes and their ledger are kept."""

    settings: Settings
    database: Database
    store: FolderStore

    @classmethod
    def of(cls, settings: Settings | None = None, *, creates: bool = False) -> Self:
        """Give the workplace of some settings, by default those of the environment.

        The database's schema is brought up to date.

        Parameters
        ----------
        creates
            Make a ledger where there is none. One at the default place is
            always made.

        Raises
        ------
        ConfigError
            If a setting makes no sense.
        LedgerError
            If the database cannot be reached.
        """
        settings = settings or Settings.from_environment()
        store = open_store(settings.storage_url)
        database = Database(settings.database_url)
        database.prepare(creates=creates or settings.database_url == default_database_url())
        return cls(settings, database, store)
