"""First schema."""

import sqlalchemy as sa
from alembic import op

from imextract.database.migrations.state_guards import create_state_guards, drop_state_guards

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "experiments",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("storage_key", sa.String(length=64), nullable=False),
        sa.Column("discarded_key", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
        sa.UniqueConstraint("name", name=op.f("uq_experiments_name")),
        sa.UniqueConstraint("storage_key", name=op.f("uq_experiments_storage_key")),
    )
    op.create_table(
        "batches",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("job", sa.Integer(), nullable=False),
        sa.Column("site_count", sa.Integer(), nullable=False),
        sa.Column("plane_count", sa.Integer(), nullable=False),
        sa.Column("compression", sa.String(length=16), nullable=False),
        sa.Column("deletes", sa.Boolean(), nullable=False),
        sa.Column("is_apart", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint("phase IN ('run', 'collect')", name=op.f("ck_batches_phase")),
        sa.CheckConstraint("job >= 1 AND generation >= 1", name=op.f("ck_batches_count")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_batches_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint(
            "experiment_id",
            "phase",
            "generation",
            "job",
            name=op.f("uq_batches_experiment_id_phase_generation_job"),
        ),
    )
    op.create_table(
        "channels",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("excitation_nm", sa.Float(), nullable=True),
        sa.Column("emission_nm", sa.Float(), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_channels_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("experiment_id", "name", name=op.f("uq_channels_experiment_id_name")),
    )
    op.create_table(
        "cycles",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint('"index" >= 0', name=op.f("ck_cycles_index")),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_cycles_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycles")),
        sa.UniqueConstraint("experiment_id", "index", name=op.f("uq_cycles_experiment_id_index")),
    )
    op.create_table(
        "plates",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_plates_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plates")),
        sa.UniqueConstraint("experiment_id", "name", name=op.f("uq_plates_experiment_id_name")),
    )
    op.create_table(
        "acquisitions",
        sa.Column("plate_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("microscope_type", sa.Text(), nullable=False),
        sa.Column("objective", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["plate_id"], ["plates.id"], name=op.f("fk_acquisitions_plate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acquisitions")),
        sa.UniqueConstraint("plate_id", "name", name=op.f("uq_acquisitions_plate_id_name")),
    )
    op.create_table(
        "batch_runs",
        sa.Column("batch_id", ID, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("is_apart", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("extracted", sa.Integer(), nullable=False),
        sa.Column("already_there", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'lost')", name=op.f("ck_batch_runs_state")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_batch_runs_batch_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_runs")),
    )
    with op.batch_alter_table("batch_runs", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_runs_batch_id"), ["batch_id"], unique=False)

    op.create_table(
        "leases",
        sa.Column("experiment_id", ID, nullable=False),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.BigInteger(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batches.id"], name=op.f("fk_leases_batch_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_leases_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leases")),
        sa.UniqueConstraint("token", name=op.f("uq_leases_token")),
    )
    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_leases_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_leases_experiment_id"), ["experiment_id"], unique=False
        )

    op.create_table(
        "wells",
        sa.Column("plate_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("column", sa.Integer(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint('"row" >= 0 AND "column" >= 0', name=op.f("ck_wells_position")),
        sa.ForeignKeyConstraint(
            ["plate_id"], ["plates.id"], name=op.f("fk_wells_plate_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wells")),
        sa.UniqueConstraint("plate_id", "row", "column", name=op.f("uq_wells_plate_id_row_column")),
    )
    op.create_table(
        "microscope_image_files",
        sa.Column("acquisition_id", ID, nullable=False),
        sa.Column("entry_id", ID, nullable=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("holds_pixels", sa.Boolean(), nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("format_name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("metadata_text", sa.LargeBinary(), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint(
            "state IN ('present', 'pending_deletion', 'deleted')",
            name=op.f("ck_microscope_image_files_state"),
        ),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_microscope_image_files_size")),
        sa.ForeignKeyConstraint(
            ["acquisition_id"],
            ["acquisitions.id"],
            name=op.f("fk_microscope_image_files_acquisition_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["microscope_image_files.id"],
            name=op.f("fk_microscope_image_files_entry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_microscope_image_files")),
        sa.UniqueConstraint(
            "acquisition_id", "path", name=op.f("uq_microscope_image_files_acquisition_id_path")
        ),
    )
    with op.batch_alter_table("microscope_image_files", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_microscope_image_files_entry_id"), ["entry_id"], unique=False
        )

    op.create_table(
        "sites",
        sa.Column("well_id", ID, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("y", sa.Integer(), nullable=False),
        sa.Column("x", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint('"index" >= 0 AND y >= 0 AND x >= 0', name=op.f("ck_sites_position")),
        sa.CheckConstraint("height > 0 AND width > 0", name=op.f("ck_sites_size")),
        sa.ForeignKeyConstraint(
            ["well_id"], ["wells.id"], name=op.f("fk_sites_well_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sites")),
        sa.UniqueConstraint("well_id", "index", name=op.f("uq_sites_well_id_index")),
    )
    op.create_table(
        "channel_image_files",
        sa.Column("acquisition_id", ID, nullable=False),
        sa.Column("site_id", ID, nullable=False),
        sa.Column("cycle_id", ID, nullable=False),
        sa.Column("channel_id", ID, nullable=False),
        sa.Column("tpoint", sa.Integer(), nullable=False),
        sa.Column("zplane", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(length=16), nullable=False),
        sa.Column("pixel_size_x_um", sa.Float(), nullable=True),
        sa.Column("pixel_size_y_um", sa.Float(), nullable=True),
        sa.Column("pixel_size_z_um", sa.Float(), nullable=True),
        sa.Column("stage_x_um", sa.Float(), nullable=True),
        sa.Column("stage_y_um", sa.Float(), nullable=True),
        sa.Column("stage_z_um", sa.Float(), nullable=True),
        sa.Column("time_stamp_s", sa.Float(), nullable=True),
        sa.Column("exposure_ms", sa.Float(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("batch_id", ID, nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("compression", sa.String(length=16), nullable=True),
        sa.Column("checksum", sa.String(length=32), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=True),
        sa.Column("stored_checksum", sa.String(length=32), nullable=True),
        sa.Column("is_suspect", sa.Boolean(), nullable=False),
        sa.Column("is_deadly", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("extracted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint(
            "state <> 'extracted' OR (location IS NOT NULL AND checksum IS NOT NULL AND stored_bytes IS NOT NULL AND stored_checksum IS NOT NULL)",
            name=op.f("ck_channel_image_files_extracted_is_proven"),
        ),
        sa.CheckConstraint(
            "state <> 'failed' OR error IS NOT NULL",
            name=op.f("ck_channel_image_files_failed_has_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'extracted', 'failed', 'absent')",
            name=op.f("ck_channel_image_files_state"),
        ),
        sa.CheckConstraint("height > 0 AND width > 0", name=op.f("ck_channel_image_files_size")),
        sa.CheckConstraint(
            "tpoint >= 0 AND zplane >= 0", name=op.f("ck_channel_image_files_position")
        ),
        sa.ForeignKeyConstraint(
            ["acquisition_id"],
            ["acquisitions.id"],
            name=op.f("fk_channel_image_files_acquisition_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
            name=op.f("fk_channel_image_files_batch_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"],
            ["channels.id"],
            name=op.f("fk_channel_image_files_channel_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.id"],
            name=op.f("fk_channel_image_files_cycle_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["site_id"],
            ["sites.id"],
            name=op.f("fk_channel_image_files_site_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_image_files")),
        sa.UniqueConstraint(
            "site_id",
            "channel_id",
            "cycle_id",
            "tpoint",
            "zplane",
            "acquisition_id",
            name="uq_channel_image_files_plane",
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("channel_image_files", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_channel_image_files_acquisition_id_id"),
            ["acquisition_id", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_channel_image_files_acquisition_id_state_id"),
            ["acquisition_id", "state", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_channel_image_files_batch_id"), ["batch_id"], unique=False
        )

    op.create_table(
        "microscope_metadata_files",
        sa.Column("acquisition_id", ID, nullable=False),
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["acquisition_id"],
            ["acquisitions.id"],
            name=op.f("fk_microscope_metadata_files_acquisition_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["microscope_image_files.id"],
            name=op.f("fk_microscope_metadata_files_entry_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_microscope_metadata_files")),
    )
    with op.batch_alter_table("microscope_metadata_files", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_microscope_metadata_files_acquisition_id"),
            ["acquisition_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_microscope_metadata_files_entry_id"), ["entry_id"], unique=False
        )

    op.create_table(
        "source_planes",
        sa.Column("channel_image_file_id", ID, nullable=False),
        sa.Column("microscope_image_file_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("plane", sa.Integer(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.CheckConstraint(
            'series >= 0 AND plane >= 0 AND "position" >= 0', name=op.f("ck_source_planes_index")
        ),
        sa.ForeignKeyConstraint(
            ["channel_image_file_id"],
            ["channel_image_files.id"],
            name=op.f("fk_source_planes_channel_image_file_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["microscope_image_file_id"],
            ["microscope_image_files.id"],
            name=op.f("fk_source_planes_microscope_image_file_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_planes")),
        sa.UniqueConstraint(
            "channel_image_file_id",
            "position",
            name=op.f("uq_source_planes_channel_image_file_id_position"),
        ),
    )
    with op.batch_alter_table("source_planes", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_source_planes_microscope_image_file_id"),
            ["microscope_image_file_id"],
            unique=False,
        )

    create_state_guards()


def downgrade() -> None:
    """Take back."""
    drop_state_guards()
    with op.batch_alter_table("source_planes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_source_planes_microscope_image_file_id"))

    op.drop_table("source_planes")
    with op.batch_alter_table("microscope_metadata_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_microscope_metadata_files_entry_id"))
        batch_op.drop_index(batch_op.f("ix_microscope_metadata_files_acquisition_id"))

    op.drop_table("microscope_metadata_files")
    with op.batch_alter_table("channel_image_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_channel_image_files_batch_id"))
        batch_op.drop_index(batch_op.f("ix_channel_image_files_acquisition_id_state_id"))
        batch_op.drop_index(batch_op.f("ix_channel_image_files_acquisition_id_id"))

    op.drop_table("channel_image_files")
    op.drop_table("sites")
    with op.batch_alter_table("microscope_image_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_microscope_image_files_entry_id"))

    op.drop_table("microscope_image_files")
    op.drop_table("wells")
    with op.batch_alter_table("batch_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batch_runs_batch_id"))

    with op.batch_alter_table("leases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_leases_experiment_id"))
        batch_op.drop_index(batch_op.f("ix_leases_batch_id"))

    op.drop_table("leases")
    op.drop_table("batch_runs")
    op.drop_table("acquisitions")
    op.drop_table("plates")
    op.drop_table("cycles")
    op.drop_table("channels")
    op.drop_table("batches")
    op.drop_table("experiments")
