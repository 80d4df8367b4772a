"""Runs migrations on the connection that `imextract.database.session` hands over."""

from alembic import context

from imextract.database.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite cannot alter most things in place.
    render_as_batch=True,
)
context.run_migrations()
