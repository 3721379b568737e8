"""Recipients that settle by themselves, mailings, templates, suppressions, rates."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

STATES_BEFORE = ("queued", "sending", "sent", "deferred", "bounced", "cancelled")
STATES = ("queued", "sending", "sent", "deferred", "bounced", "suppressed", "uncertain", "cancelled", "failed")

# What was being handed to the mail server when its job was given up may have arrived: nobody knows.
SETTLED = """
CASE WHEN recipients.state = 'sending' THEN 'uncertain'
         WHEN {job_state} = 'cancelled' THEN 'cancelled' ELSE 'failed' END
"""
SETTLE_RECIPIENTS = f"""
CREATE FUNCTION settle_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recipients SET state = {SETTLED.format(job_state="new.state").strip()}, next_attempt_at = NULL
    FROM emails WHERE emails.job_id = new.id AND recipients.email_id = emails.id
        AND recipients.state IN ('queued', 'sending', 'deferred');
    RETURN NULL;
END
$$
"""  # noqa: S608 - constants of this module


def upgrade() -> None:
    _create_mailings()
    _create_templates_and_suppressions()
    _extend_emails()
    _extend_recipients()
    op.execute(SETTLE_RECIPIENTS)
    op.execute("""
        CREATE TRIGGER jobs_settle_recipients AFTER UPDATE OF state ON jobs FOR EACH ROW
        WHEN (new.kind = 'mail.send' AND new.state IN ('failed', 'cancelled', 'expired'))
        EXECUTE FUNCTION settle_recipients()
    """)


def _create_mailings() -> None:
    op.create_table(
        "mailings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("template", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("variables", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_mailings_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailings")),
    )
    _index_owner_list("mailings", "id")


def _create_templates_and_suppressions() -> None:
    op.create_table(
        "email_templates",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_email_templates_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "name", name=op.f("pk_email_templates")),
    )
    op.create_table(
        "suppressions",
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("email_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "reason IN ('hard_bounce', 'complaint', 'unsubscribed', 'manual')",
            name=op.f("ck_suppressions_reason_known"),
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_suppressions_owner_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner_id", "address_key", name=op.f("pk_suppressions")),
    )
    _index_owner_list("suppressions", "address_key")
    op.create_table(
        "mail_rates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mail_rates")),
    )


def _index_owner_list(table: str, last: str) -> None:
    op.create_index(
        f"ix_{table}_owner_list",
        table,
        ["owner_id", sa.literal_column("created_at DESC"), sa.literal_column(f"{last} DESC")],
        unique=False,
    )


def _extend_emails() -> None:
    for column in (
        sa.Column("mailing_id", sa.Uuid(), nullable=True),
        sa.Column("template", sa.Text(), nullable=True),
        sa.Column("variables", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "inline_images", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False
        ),
        sa.Column("unsubscribe_url", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), server_default="at_least_once", nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("emails", column)
    op.create_check_constraint(
        op.f("ck_emails_delivery_known"), "emails", "delivery IN ('at_least_once', 'at_most_once')"
    )
    op.create_foreign_key(
        op.f("fk_emails_mailing_id"), "emails", "mailings", ["mailing_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index(
        "ix_emails_mailing_id",
        "emails",
        ["mailing_id", "id"],
        unique=False,
        postgresql_where=sa.text("mailing_id IS NOT NULL"),
    )


def _extend_recipients() -> None:
    _allow_states(STATES)
    for column in (
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("address_key", sa.Text(), nullable=True),
        sa.Column("reply_enhanced", sa.Text(), nullable=True),
        sa.Column("replied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_tried_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("recipients", column)
    op.execute("""
        UPDATE recipients SET owner_id = emails.owner_id, address_key = lower(address), replied_at = sent_at
        FROM emails WHERE emails.id = recipients.email_id
    """)
    op.execute(f"""
        UPDATE recipients SET state = {SETTLED.format(job_state="coalesce(jobs.state, 'failed')").strip()}
        FROM emails LEFT JOIN jobs ON jobs.id = emails.job_id
        WHERE emails.id = recipients.email_id AND recipients.state IN ('queued', 'sending', 'deferred')
          AND (jobs.id IS NULL OR jobs.finished_at IS NOT NULL)
    """)  # noqa: S608 - constants of this module
    for column in ("owner_id", "address_key"):
        op.alter_column("recipients", column, nullable=False)
    op.create_index("ix_recipients_owner_address", "recipients", ["owner_id", "address_key", "email_id"], unique=False)
    op.create_index(
        "ix_recipients_owner_state",
        "recipients",
        ["owner_id", "state", "email_id"],
        unique=False,
        postgresql_where=sa.text("state <> 'sent'"),
    )


def _allow_states(states: Sequence[str]) -> None:
    words = ", ".join(f"'{state}'" for state in states)
    op.drop_constraint(op.f("ck_recipients_state_known"), "recipients")
    op.create_check_constraint(op.f("ck_recipients_state_known"), "recipients", f"state IN ({words})")


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_settle_recipients ON jobs")
    op.execute("DROP FUNCTION settle_recipients")
    op.drop_index("ix_recipients_owner_state", "recipients")
    op.drop_index("ix_recipients_owner_address", "recipients")
    op.execute("UPDATE recipients SET state = 'cancelled' WHERE state IN ('suppressed', 'uncertain', 'failed')")
    _allow_states(STATES_BEFORE)
    for column in ("first_tried_at", "next_attempt_at", "replied_at", "reply_enhanced", "address_key", "owner_id"):
        op.drop_column("recipients", column)
    op.drop_index("ix_emails_mailing_id", "emails")
    op.drop_constraint(op.f("fk_emails_mailing_id"), "emails")
    op.drop_constraint(op.f("ck_emails_delivery_known"), "emails")
    for column in (
        "cancelled_at", "delivery", "unsubscribe_url", "inline_images", "headers", "variables", "template",
        "mailing_id",
    ):  # fmt: skip
        op.drop_column("emails", column)
    for table in ("mail_rates", "suppressions", "email_templates", "mailings"):
        op.drop_table(table)
