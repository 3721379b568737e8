"""Uploads in progress, what each owner stores, presets of renditions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Statements of many owners take the locks in one order, so that two of them cannot wait for each other.
COUNT_ADDED = """
CREATE FUNCTION count_stored_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_usage (owner_id, bytes, files)
    SELECT owner_id, sum(size), count(*) FROM added GROUP BY owner_id ORDER BY owner_id
    ON CONFLICT (owner_id) DO UPDATE
    SET bytes = storage_usage.bytes + excluded.bytes, files = storage_usage.files + excluded.files;
    RETURN NULL;
END
$$
"""
COUNT_REMOVED = """
CREATE FUNCTION count_stored_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM storage_usage WHERE owner_id IN (SELECT owner_id FROM removed) ORDER BY owner_id FOR NO KEY UPDATE;
    UPDATE storage_usage SET bytes = storage_usage.bytes - gone.bytes, files = storage_usage.files - gone.files
    FROM (SELECT owner_id, sum(size) AS bytes, count(*) AS files FROM removed GROUP BY owner_id) AS gone
    WHERE storage_usage.owner_id = gone.owner_id;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    _create_uploads()
    _create_usage_and_presets()
    _count_what_is_stored()
    # Last: it locks out everybody who signs in.
    op.add_column("users", sa.Column("max_bytes", sa.BigInteger(), nullable=True))
    op.add_column("users", sa.Column("max_files", sa.BigInteger(), nullable=True))


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("announced", sa.Text(), nullable=True),
        sa.Column("kept_seconds", sa.BigInteger(), nullable=True),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("parts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_uploads_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"], unique=False)
    op.create_index(
        "ix_uploads_owner_list",
        "uploads",
        ["owner_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blob_id", sa.Uuid(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_parts")),
    )


def _create_usage_and_presets() -> None:
    op.create_table(
        "storage_usage",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_storage_usage_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_storage_usage")),
    )
    op.create_table(
        "image_presets",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("renditions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_image_presets_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "name", name=op.f("pk_image_presets")),
    )


def _count_what_is_stored() -> None:
    op.execute("LOCK TABLE files IN SHARE ROW EXCLUSIVE MODE")
    op.execute(COUNT_ADDED)
    op.execute(COUNT_REMOVED)
    for table in ("files", "uploads"):
        op.execute(f"""
            CREATE TRIGGER {table}_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS added
            FOR EACH STATEMENT EXECUTE FUNCTION count_stored_added()
        """)
        op.execute(f"""
            CREATE TRIGGER {table}_removed AFTER DELETE ON {table} REFERENCING OLD TABLE AS removed
            FOR EACH STATEMENT EXECUTE FUNCTION count_stored_removed()
        """)
    op.execute("""
        INSERT INTO storage_usage (owner_id, bytes, files)
        SELECT owner_id, sum(size), count(*) FROM files GROUP BY owner_id
    """)


def downgrade() -> None:
    for event in ("added", "removed"):
        op.execute(f"DROP TRIGGER files_{event} ON files")
    for table in ("image_presets", "storage_usage", "upload_parts", "uploads"):
        op.drop_table(table)
    op.execute("DROP FUNCTION count_stored_added")
    op.execute("DROP FUNCTION count_stored_removed")
    op.drop_column("users", "max_files")
    op.drop_column("users", "max_bytes")
