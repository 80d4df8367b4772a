"""Which schema the OME-XML of a file follows."""

import re
from collections.abc import Iterator

from imextract.registration.manifest import Problem

__all__ = ["newer_schema"]

_SCHEMA = re.compile(r"/Schemas/OME/([0-9]{4}-[0-9]{2})\b")
_NEWEST_SCHEMA = "2016-06"


def newer_schema(entry: str, ome_xml: str) -> Iterator[Problem]:
    """Name a schema that was not known when this was written."""
    schema = _SCHEMA.search(ome_xml)
    if schema is not None and schema[1] > _NEWEST_SCHEMA:
        text = (
            f"is OME-XML of the schema {schema[1]}, which may mean other things than "
            f"{_NEWEST_SCHEMA}: check what the dry run shows"
        )
        yield Problem("warning", entry, text)
