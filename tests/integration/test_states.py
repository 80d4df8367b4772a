"""The database itself refuses what must not follow, on SQLite and PostgreSQL."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from imextract.config import Settings
from imextract.database.models import ChannelImageFileRow as Plane
from imextract.database.models import MicroscopeImageFileRow as File
from imextract.database.states import FILE_MOVES, FILE_STATES, PLANE_MOVES, PLANE_STATES
from imextract.errors import LedgerError
from tests.experiments import SmallExperiment, make_experiment

STORED = {"location": "x", "checksum": "x", "stored_bytes": 1, "stored_checksum": "x", "error": "x"}


@pytest.fixture
def experiment(settings: Settings, tmp_path: Path) -> SmallExperiment:
    return make_experiment(tmp_path, sites=1, settings=settings)


def moves(experiment: SmallExperiment, table: Any, states: tuple[str, ...]) -> dict[str, set[str]]:
    """Try every move and give those that the database lets happen."""
    found: dict[str, set[str]] = {state: set() for state in states}
    for old, new in product(states, states):
        if old == new:
            continue
        row_id = fresh_row(experiment, table, old)
        try:
            with experiment.database.transaction() as session:
                session.execute(update(table).where(table.id == row_id).values(state=new))
            found[old].add(new)
        except LedgerError as error:
            if "must not" not in str(error):
                raise
    return found


def fresh_row(experiment: SmallExperiment, table: Any, state: str) -> int:
    """Add a row of a state: what is inserted makes no move."""
    with experiment.database.transaction() as session:
        row = session.scalars(select(table).order_by(table.id).limit(1)).one()
        columns = {c.name: getattr(row, c.name) for c in table.__table__.columns if c.name != "id"}
        if table is Plane:
            highest = session.scalars(select(Plane.tpoint).order_by(Plane.tpoint.desc())).first()
            columns |= {**STORED, "tpoint": (highest or 0) + 1}
        else:
            columns["path"] = f"{session.scalars(select(File.id).order_by(File.id.desc())).first()}"
        new = table(**columns | {"state": state})
        session.add(new)
        session.flush()
        return int(new.id)


def test_a_plane_goes_from_state_to_state_as_is_written_down(experiment: SmallExperiment) -> None:
    assert moves(experiment, Plane, PLANE_STATES) == {k: set(v) for k, v in PLANE_MOVES.items()}


def test_a_file_goes_from_state_to_state_as_is_written_down(experiment: SmallExperiment) -> None:
    assert moves(experiment, File, FILE_STATES) == {k: set(v) for k, v in FILE_MOVES.items()}


@pytest.mark.parametrize("freed", ["pending_deletion", "deleted"])
def test_a_plane_that_is_the_only_copy_is_not_planned_again(
    experiment: SmallExperiment, freed: str
) -> None:
    experiment.extract()
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state="pending_deletion"))
    with experiment.database.transaction() as session:
        session.execute(update(File).values(state=freed))
    with pytest.raises(LedgerError, match="must not be planned again"):
        with experiment.database.transaction() as session:
            session.execute(update(Plane).values(state="planned"))
