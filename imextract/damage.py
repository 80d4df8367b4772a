"""Telling that a stored plane is broken, whatever stumbled over it."""

from imextract.errors import DamagedPlaneError

__all__ = ["damage_named"]


class damage_named:  # noqa: N801  reads as the statement that it is
    """Turn what is raised because of a broken file into one error that names it.

    Parameters
    ----------
    name
        Which plane.
    more
        Further errors that tell of it: HDF5 says so by OSError, which of the disk itself
        tells that it cannot be read.
    """

    def __init__(self, name: str, *more: type[Exception]) -> None:
        self._name = name
        self._kinds: tuple[type[BaseException], ...] = (
            RuntimeError,
            KeyError,
            ValueError,
            TypeError,
            *more,
        )

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, self._kinds):
            raise DamagedPlaneError(
                f"{self._name}: the stored plane is damaged or no plane: {error}; "
                "extract it again while its original is there"
            ) from error
