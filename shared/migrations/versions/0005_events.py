"""What changed, events to be told, webhooks, tickets of streams, broadcasts."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

XID = "(pg_current_xact_id()::text)::bigint"

MARK_CHANGE = f"""
CREATE FUNCTION mark_job_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    new.changed_xid := {XID};
    RETURN new;
END
$$
"""

# Asked before a row is turned into JSON: most events are wanted by nobody.
IS_WANTED = """
CREATE FUNCTION event_is_wanted(event_name text, event_owner uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM event_listeners WHERE event = event_name) OR EXISTS (
        SELECT FROM webhook_endpoints
        WHERE owner_id = event_owner AND disabled_at IS NULL
          AND event_name LIKE ANY (SELECT replace(filter, '*', '%') FROM unnest(events) AS filter)
    );
END
$$
"""
RECORD_JOB_EVENT = """
CREATE FUNCTION record_job_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own_url text := CASE WHEN new.finished_at IS NOT NULL THEN new.webhook_url END;
BEGIN
    IF own_url IS NOT NULL OR event_is_wanted('job.' || new.state, new.owner_id) THEN
        INSERT INTO events (name, owner_id, subject_id, version, webhook_url, body)
        VALUES ('job.' || new.state, new.owner_id, new.id, new.version, own_url, to_jsonb(new));
    END IF;
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    _extend_jobs()
    _create_events()
    _create_webhooks()
    _create_stream_tables()
    op.execute(MARK_CHANGE)
    op.execute("""
        CREATE TRIGGER jobs_mark_change BEFORE UPDATE OF state, cancel_requested ON jobs FOR EACH ROW
        WHEN ((old.state, old.cancel_requested) IS DISTINCT FROM (new.state, new.cancel_requested))
        EXECUTE FUNCTION mark_job_change()
    """)
    op.execute(IS_WANTED)
    op.execute(RECORD_JOB_EVENT)
    op.execute("""
        CREATE TRIGGER jobs_record_birth AFTER INSERT ON jobs FOR EACH ROW
        WHEN (NOT new.silent) EXECUTE FUNCTION record_job_event()
    """)
    op.execute("""
        CREATE TRIGGER jobs_record_change AFTER UPDATE OF state ON jobs FOR EACH ROW
        WHEN (old.state IS DISTINCT FROM new.state AND NOT new.silent) EXECUTE FUNCTION record_job_event()
    """)


def _extend_jobs() -> None:
    op.add_column("jobs", sa.Column("webhook_url", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("silent", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    # A constant first: with a default of its own for each row the whole table would be written anew.
    op.add_column("jobs", sa.Column("changed_xid", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.alter_column("jobs", "changed_xid", server_default=sa.text(XID))
    op.create_index("ix_jobs_owner_changes", "jobs", ["owner_id", "changed_xid"], unique=False)
    op.create_index(
        "ix_jobs_owner_live",
        "jobs",
        ["owner_id", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_events_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_owner_id"), "events", ["owner_id"], unique=False)
    op.create_table(
        "event_listeners",
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("event", "kind", name=op.f("pk_event_listeners")),
    )


def _create_webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("events", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("previous_secret", sa.Text(), nullable=True),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "disabled_reason IN ('manual', 'gone', 'failing')", name=op.f("ck_webhook_endpoints_disabled_reason_known")
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_webhook_endpoints_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(
        "uq_webhook_endpoints_for_jobs",
        "webhook_endpoints",
        ["owner_id"],
        unique=True,
        postgresql_where=sa.text("url IS NULL"),
    )
    _index_list("webhook_endpoints", "owner_list", "owner_id")
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("response_status", sa.SmallInteger(), nullable=True),
        sa.Column("response_body", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replay_of", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed', 'superseded', 'cancelled')",
            name=op.f("ck_webhook_deliveries_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_webhook_deliveries_job_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )  # fmt: skip
    _index_list("webhook_deliveries", "list", "endpoint_id")
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["endpoint_id", "subject_id", "version"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    for column in ("job_id", "created_at"):
        op.create_index(f"ix_webhook_deliveries_{column}", "webhook_deliveries", [column], unique=False)


def _index_list(table: str, name: str, first: str) -> None:
    op.create_index(
        f"ix_{table}_{name}",
        table,
        [first, sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )


def _create_stream_tables() -> None:
    op.create_table(
        "stream_tickets",
        sa.Column("ticket_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("token_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stream_tickets_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ticket_hash", name=op.f("pk_stream_tickets")),
    )
    for column in ("user_id", "expires_at"):
        op.create_index(f"ix_stream_tickets_{column}", "stream_tickets", [column], unique=False)
    op.create_table(
        "broadcasts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("sent_by", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["sent_by"], ["users.id"], name=op.f("fk_broadcasts_sent_by"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broadcasts")),
    )
    for column in ("sent_by", "created_at"):
        op.create_index(f"ix_broadcasts_{column}", "broadcasts", [column], unique=False)


def downgrade() -> None:
    for trigger in ("jobs_record_change", "jobs_record_birth", "jobs_mark_change"):
        op.execute(f"DROP TRIGGER {trigger} ON jobs")
    for function in ("record_job_event", "event_is_wanted", "mark_job_change"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("broadcasts", "stream_tickets", "webhook_deliveries", "webhook_endpoints", "event_listeners",
                  "events"):  # fmt: skip
        op.drop_table(table)
    for index in ("ix_jobs_owner_live", "ix_jobs_owner_changes"):
        op.drop_index(index, "jobs")
    for column in ("changed_xid", "silent", "webhook_url"):
        op.drop_column("jobs", column)
