"""One run of the benchmark: where, how much, how many workers."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["REAL_FILES", "Bench"]

REAL_FILES = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Bench:
    """What every question is given.

    Attributes
    ----------
    folder
        A temporary folder, on the disk that is to be measured.
    is_quick
        True for the short form: fewer planes, fewer rounds.
    has_tools
        Whether other tools are measured, too.
    data
        A folder of real microscope files, which need not be there.
    """

    folder: Path
    is_quick: bool
    has_tools: bool = False
    data: Path = REAL_FILES
    workers: int = 2

    @property
    def wells(self) -> int:
        """Wells of the plate; each has 32 planes of 8.4 MB."""
        return 2 if self.is_quick else 8

    @property
    def wells_of_jobs(self) -> tuple[int, int]:
        """Wells of the plates of whole jobs: for the slow, and for all others."""
        return (2, 2) if self.is_quick else (8, 16)

    @property
    def real_mb(self) -> tuple[int, int]:
        """MB of pixels of every microscope, of the small and of the large plate."""
        return (20, 60) if self.is_quick else (20, 200)

    @property
    def rounds(self) -> int:
        """How often what is compared is run, in turn."""
        return 1 if self.is_quick else 3
