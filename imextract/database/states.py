"""The states of planes and microscope files, and which follows which.

::

    plane    absent ──► planned ──► extracted        file    present ◄──► pending deletion
                          ▲  │          │                                       │
                          │  ▼          │                                       ▼
                          failed ◄──────┘                                    deleted

The database refuses every other move, by triggers that the first migration
makes, and this one as well: an extracted plane is not planned again unless all
its originals are present. See docs/states.md.
"""

from collections.abc import Mapping

__all__ = ["FILE_MOVES", "FILE_STATES", "PLANE_MOVES", "PLANE_STATES"]

PLANE_MOVES: Mapping[str, frozenset[str]] = {
    "planned": frozenset({"extracted", "failed"}),
    "extracted": frozenset({"planned", "failed"}),
    "failed": frozenset({"planned", "extracted"}),
    "absent": frozenset({"planned"}),
}

FILE_MOVES: Mapping[str, frozenset[str]] = {
    "present": frozenset({"pending_deletion"}),
    "pending_deletion": frozenset({"present", "deleted"}),
    "deleted": frozenset(),
}

PLANE_STATES = tuple(PLANE_MOVES)
FILE_STATES = tuple(FILE_MOVES)
