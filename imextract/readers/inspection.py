"""What Bio-Formats makes of a file."""

from dataclasses import dataclass
from pathlib import Path

from imextract.planes import SeriesStructure

__all__ = ["Inspection"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What Bio-Formats makes of a file.

    Attributes
    ----------
    used_files
        All files of the data set; only the file itself, and a warning, where
        Bio-Formats fails to tell them.
    metadata_files
        Those of them that hold no pixels.
    warnings
        What Bio-Formats logged while it opened the file.
    folder
        Nothing outside of it was read; None stands for the folder of the file.
    """

    path: Path
    format_name: str
    structure: tuple[SeriesStructure, ...]
    used_files: tuple[Path, ...]
    metadata_files: tuple[Path, ...]
    ome_xml: str
    warnings: tuple[str, ...]
    folder: Path | None = None
