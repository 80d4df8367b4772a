"""The errors of imextract: one small hierarchy.

::

    ImextractError
    ├── ConfigError         (ValueError)   a setting, an argument, a parameter
    ├── RegistrationError   (ValueError)   a folder that cannot be registered
    ├── UnknownExperimentError (LookupError)
    ├── ExperimentBusyError (OSError)      another run works on the experiment
    ├── SourceFileError     (OSError)      a microscope file cannot be read
    │   ├── UnknownFormatError             no reader knows the format
    │   └── DeadlyFileError                it ends the process that reads it
    ├── PlaneNotFoundError  (LookupError)  a series or plane the file does not have
    ├── PlaneMismatchError  (ValueError)   a plane is not what was planned
    ├── StorageError        (OSError)      stored planes: unreachable, full, damaged
    │   └── DamagedPlaneError              a stored plane is not what was written
    └── LedgerError         (OSError)      the database: unreachable, locked, too new

Each is built from one message, so that it survives pickling from a Dask
worker. The message says what, where, expected, got and the remedy.
"""

__all__ = [
    "ConfigError",
    "DamagedPixelsError",
    "DamagedPlaneError",
    "DeadlyFileError",
    "ExperimentBusyError",
    "ImextractError",
    "LedgerError",
    "PlaneMismatchError",
    "PlaneNotFoundError",
    "RegistrationError",
    "SourceFileError",
    "StorageError",
    "UnknownExperimentError",
    "UnknownFormatError",
    "may_pass",
]


class ImextractError(Exception):
    """Base of every error that imextract raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        # LookupError and OSError would quote or reformat the message.
        return self.message


class ConfigError(ImextractError, ValueError):
    """A setting, argument or parameter is missing or makes no sense."""


class RegistrationError(ImextractError, ValueError):
    """A folder cannot be registered as it is."""


class UnknownExperimentError(ImextractError, LookupError):
    """The database has no experiment of that id."""


class ExperimentBusyError(ImextractError, OSError):
    """Another run works on the experiment, or has taken it over."""


class SourceFileError(ImextractError, OSError):
    """A microscope file is missing, changed, damaged or unreadable."""


class UnknownFormatError(SourceFileError):
    """No reader recognises the file."""


class DamagedPixelsError(SourceFileError):
    """Pixels of a known coding do not decode: whoever gives some all the same guesses."""


class DeadlyFileError(SourceFileError):
    """Reading a plane of the file ends the process that does it."""


class PlaneNotFoundError(ImextractError, LookupError):
    """A file does not have the series or plane that was asked for."""


class PlaneMismatchError(ImextractError, ValueError):
    """A plane's size or type is not the planned one."""


class StorageError(ImextractError, OSError):
    """The storage of planes cannot be written or read; may pass."""


class DamagedPlaneError(StorageError):
    """A stored plane is missing or is not what was written; will not pass."""


class LedgerError(ImextractError, OSError):
    """The database cannot be reached or used; may pass."""


def may_pass(error: BaseException) -> bool:
    """Say whether trying again may help: a hiccup of storage or database."""
    return isinstance(error, StorageError | LedgerError) and not isinstance(
        error, DamagedPlaneError
    )
