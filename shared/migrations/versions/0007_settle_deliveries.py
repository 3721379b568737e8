"""Deliveries that settle when their job ends without a word of its handler; since when an endpoint fails."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

SETTLE_DELIVERY = """
CREATE FUNCTION settle_delivery() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_deliveries SET
        state = CASE WHEN new.state = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
        error = coalesce(error, new.error ->> 'code'),
        next_attempt_at = NULL
    WHERE job_id = new.id AND state = 'pending';
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.add_column("webhook_endpoints", sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True))
    op.execute(SETTLE_DELIVERY)
    op.execute("""
        CREATE TRIGGER jobs_settle_delivery AFTER UPDATE OF state ON jobs FOR EACH ROW
        WHEN (new.kind = 'webhook.deliver' AND new.state IN ('failed', 'cancelled', 'expired'))
        EXECUTE FUNCTION settle_delivery()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_settle_delivery ON jobs")
    op.execute("DROP FUNCTION settle_delivery")
    op.drop_column("webhook_endpoints", "failing_since")
