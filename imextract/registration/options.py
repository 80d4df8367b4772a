"""What the user may say about a folder that is registered."""

from dataclasses import dataclass

from imextract.registration.layouts import Layout

__all__ = ["ManifestOptions"]


@dataclass(frozen=True, slots=True)
class ManifestOptions:
    """What the user says about a folder, where its files do not.

    Attributes
    ----------
    plate
        Name of the plate; the plate's own name or the folder's by default.
        It is an error where the folder holds several plates.
    acquisition
        Name of the acquisition; its own name or "acquisition_0" by default.
        Where a plate has several, it goes before their own names.
    cycle
        Index of the multiplexing cycle that the folder holds, zero-based.
    microscope
        A key of `imextract.registration.microscopes.MICROSCOPES`; None picks
        "pattern" where a pattern is given, else what the folder's content tells.
    pattern
        Regular expression for the names of plainly numbered files, or the name
        of a ready one.
    layout
        How the stage went over the sites of a well; it places all of them,
        whatever the files tell.
    rows, columns
        Size of the layout.
    """

    plate: str | None = None
    acquisition: str | None = None
    cycle: int = 0
    microscope: str | None = None
    pattern: str | None = None
    layout: Layout | None = None
    rows: int | None = None
    columns: int | None = None
