"""The order of lists that leave silent jobs out, however many deliveries of webhooks lie between others."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_owner_shown",
        "jobs",
        ["owner_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("NOT silent"),
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_owner_shown", "jobs")
