"""Triggers of the first schema: no plane and no file makes a forbidden move.

A migration that lets Alembic rebuild one of these tables on SQLite must make
its triggers anew.
"""

from alembic import op

__all__ = ["create_state_guards", "drop_state_guards"]

_PLANE_MOVES = (
    ("planned", "extracted"),
    ("planned", "failed"),
    ("extracted", "planned"),
    ("extracted", "failed"),
    ("failed", "planned"),
    ("failed", "extracted"),
    ("absent", "planned"),
)
_FILE_MOVES = (
    ("present", "pending_deletion"),
    ("pending_deletion", "present"),
    ("pending_deletion", "deleted"),
)

_ONLY_COPY = """EXISTS (
    SELECT 1 FROM source_planes AS source
    JOIN microscope_image_files AS file
    ON file.id = source.microscope_image_file_id
    OR file.entry_id = source.microscope_image_file_id
    WHERE source.channel_image_file_id = OLD.id AND file.state <> 'present')"""


def create_state_guards() -> None:
    """Make the triggers, in the way of the database."""
    moves = {"channel_image_files": _PLANE_MOVES, "microscope_image_files": _FILE_MOVES}
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table, allowed in moves.items():
        (_guard_sqlite if is_sqlite else _guard_postgresql)(
            table, "moves", _forbidden(allowed), "", "a state follows that must not"
        )
    (_guard_sqlite if is_sqlite else _guard_postgresql)(
        "channel_image_files",
        "keeps_only_copy",
        "OLD.state = 'extracted' AND NEW.state = 'planned'",
        _ONLY_COPY,
        "an extracted plane whose original is deleted must not be planned again",
    )


def drop_state_guards() -> None:
    """Drop what goes not with its table."""
    if op.get_bind().dialect.name == "postgresql":
        for table, name in (
            ("channel_image_files", "moves"),
            ("channel_image_files", "keeps_only_copy"),
            ("microscope_image_files", "moves"),
        ):
            op.execute(f"DROP FUNCTION IF EXISTS {table}_{name}() CASCADE")


def _forbidden(allowed: tuple[tuple[str, str], ...]) -> str:
    moves = " OR ".join(f"(OLD.state = '{old}' AND NEW.state = '{new}')" for old, new in allowed)
    return f"NEW.state <> OLD.state AND NOT ({moves})"


def _guard_sqlite(table: str, name: str, condition: str, query: str, text: str) -> None:
    asked = f"{condition} AND {query}" if query else condition
    op.execute(
        f"CREATE TRIGGER {table}_{name} BEFORE UPDATE OF state ON {table} WHEN {asked} "
        f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
    )


def _guard_postgresql(table: str, name: str, condition: str, query: str, text: str) -> None:
    # PostgreSQL takes no query in a trigger's condition.
    asked = f"IF {query} THEN {_raise(text)} END IF;" if query else _raise(text)
    op.execute(
        f"CREATE FUNCTION {table}_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN {asked} RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_{name} BEFORE UPDATE OF state ON {table} FOR EACH ROW "
        f"WHEN ({condition}) EXECUTE FUNCTION {table}_{name}()"
    )


def _raise(text: str) -> str:
    return f"RAISE EXCEPTION '{text}' USING ERRCODE = 'check_violation';"
