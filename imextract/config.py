"""Settings of the library, read once at the edge and passed down as a value."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imextract.errors import ConfigError

__all__ = ["Settings", "data_folder", "default_database_url"]

_ENVIRONMENT = {
    "database_url": "IMEXTRACT_DATABASE_URL",
    "storage_url": "IMEXTRACT_STORAGE_URL",
    "java_heap_mb": "IMEXTRACT_JAVA_HEAP_MB",
    "read_timeout_s": "IMEXTRACT_READ_TIMEOUT_S",
}


def data_folder() -> Path:
    """Give the user's data folder, where everything lies by default."""
    return Path(platformdirs.user_data_dir("imextract", appauthor=False))


def default_database_url() -> str:
    """Give the URL of the ledger where none is set."""
    return f"sqlite:///{data_folder() / 'imextract.db'}"


class Settings(BaseModel):
    """Where planes and their ledger are kept, and how files are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: str = Field(
        repr=False,
        default_factory=default_database_url,
        description="SQLAlchemy URL of the ledger: SQLite or PostgreSQL.",
    )
    storage_url: str = Field(
        default_factory=lambda: str(data_folder() / "planes"),
        description="Folder of the stored planes, as a path or a file:// URL.",
    )
    java_heap_mb: int = Field(
        default=1024, ge=64, description="Heap of the Java process that runs Bio-Formats, in MiB."
    )
    read_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="Longest time of one call to Bio-Formats, in s; after twice that long any "
        "other reading of a plane is given up.",
    )
    java_process: int = Field(
        default=0,
        ge=0,
        description="Which of several Java processes is asked: 0 reads planes, each other one "
        "looks at files that are registered.",
    )

    def registering(self, number: int = 0) -> Self:
        """Give the same for looking at files, of which several are looked at at once."""
        return self.model_copy(update={"java_process": 1 + number})

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from ``IMEXTRACT_*`` variables.

        Raises
        ------
        ConfigError
            If a variable holds a value that makes no sense.
        """
        given = {
            field: environment[variable]
            for field, variable in _ENVIRONMENT.items()
            if environment.get(variable)
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            variable = _ENVIRONMENT[str(first["loc"][0])]
            raise ConfigError(
                f"{variable}={first['input']!r}: {first['msg']}; correct or unset the variable"
            ) from error
