"""What a registration changed in the ledger."""

from dataclasses import dataclass

__all__ = ["Written"]


@dataclass(slots=True)
class Written:
    """What registering a folder added to the ledger, and what it found there.

    Attributes
    ----------
    experiment_id
        The experiment that the folder belongs to.
    is_new
        The experiment was made for it.
    added
        Planes that are new, those of changed files included.
    filled
        Planes that were absent, and whose file is there now.
    known
        Planes that were there already, and stay as they are.
    vanished_files, changed_files
        Files of the ledger that are gone, or have another size or time than
        when they were registered.
    """

    experiment_id: int
    is_new: bool = False
    added: int = 0
    filled: int = 0
    known: int = 0
    vanished_files: int = 0
    changed_files: int = 0
