"""Events of files, e-mails, recipients and users.

Like those of jobs they are recorded where the change is made, and only if somebody wants them. Their `version` is drawn
from the sequence of events: changes of one row wait for each other, so it rises in their order.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NEXT = "nextval('events_sequence_seq')"
UNSETTLED = "('queued', 'sending', 'deferred')"
UNTOLD = "('queued', 'sending')"
BY_INDEX = "SET enable_seqscan TO off"
"""Plans are kept, too: one that was made while the tables were small would read all of them for each row."""

# Asked once for each owner of a statement, before anything is asked of each row; "materialized" keeps it so.
MAIL_IS_WANTED = """
CREATE FUNCTION mail_events_are_wanted(event_owner uuid) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM event_listeners WHERE event LIKE 'email.%') OR EXISTS (
        SELECT FROM webhook_endpoints
        WHERE owner_id = event_owner AND disabled_at IS NULL
          AND EXISTS (SELECT FROM unnest(events) AS filter WHERE filter = '*' OR filter LIKE 'email.%')
    );
END
$$
"""
EMAIL_BODY = f"""
CREATE FUNCTION email_event_body(emails) RETURNS jsonb LANGUAGE sql STABLE {BY_INDEX} AS $$
    SELECT to_jsonb(told) FROM (
        SELECT $1.id, $1.owner_id, $1.job_id, $1.mailing_id, $1.message_id, $1.sender, $1.reply_to, $1.subject,
               $1.template, $1.headers, $1.attachment_ids, $1.inline_images, $1.unsubscribe_url, $1.delivery, $1.tags,
               $1.send_at, $1.created_at, $1.cancelled_at,
               (SELECT jsonb_object_agg(state, number) FROM (
                    SELECT state, count(*) AS number FROM recipients WHERE email_id = $1.id GROUP BY state
                ) AS counted) AS counts
    ) AS told
$$
"""  # noqa: S608 - constants of this module
RECORD_RECIPIENTS = f"""
CREATE FUNCTION record_recipient_events(changed uuid[]) RETURNS void LANGUAGE sql {BY_INDEX} AS $$
    INSERT INTO events (name, owner_id, subject_id, version, body)
    SELECT 'email.recipient.' || r.state, r.owner_id, r.id, {NEXT},
           jsonb_build_object('email_id', e.id, 'mailing_id', e.mailing_id, 'message_id', e.message_id,
                              'tags', e.tags, 'recipient', to_jsonb(r))
    FROM recipients r JOIN emails e ON e.id = r.email_id
    WHERE r.id = ANY(changed) AND r.state NOT IN {UNTOLD}
      AND event_is_wanted('email.recipient.' || r.state, r.owner_id)
$$
"""  # noqa: S608 - constants of this module

# Two transactions that settle the last two recipients of an e-mail do not see each other's: whoever comes second to the
# e-mail's row looks after the other has committed. Alone in its e-mail, a recipient has no rival.
RECORD_SETTLED = f"""
CREATE FUNCTION record_settled_emails(touched uuid[]) RETURNS void LANGUAGE plpgsql {BY_INDEX} AS $$
BEGIN
    PERFORM FROM emails e
    WHERE e.id = ANY(touched) AND event_is_wanted('email.settled', e.owner_id)
      AND EXISTS (SELECT FROM recipients WHERE email_id = e.id AND position > 0)
    ORDER BY e.id FOR NO KEY UPDATE;
    INSERT INTO events (name, owner_id, subject_id, version, body)
    SELECT 'email.settled', e.owner_id, e.id, {NEXT}, email_event_body(e)
    FROM emails e
    WHERE e.id = ANY(touched) AND event_is_wanted('email.settled', e.owner_id)
      AND NOT EXISTS (SELECT FROM recipients WHERE email_id = e.id AND state IN {UNSETTLED});
END
$$
"""  # noqa: S608 - constants of this module

# An e-mail is queued when its recipients are there, which all come in one statement, the first at position 0.
RECORD_QUEUED = f"""
CREATE FUNCTION record_queued_recipients() RETURNS trigger LANGUAGE plpgsql {BY_INDEX} AS $$
BEGIN
    IF NOT EXISTS (
        WITH owners AS MATERIALIZED (SELECT DISTINCT owner_id FROM added)
        SELECT FROM owners WHERE mail_events_are_wanted(owner_id)
    ) THEN
        RETURN NULL;
    END IF;
    INSERT INTO events (name, owner_id, subject_id, version, body)
    SELECT 'email.queued', e.owner_id, e.id, {NEXT}, email_event_body(e)
    FROM emails e
    WHERE e.id = ANY(ARRAY(SELECT email_id FROM added WHERE position = 0))
      AND event_is_wanted('email.queued', e.owner_id);
    PERFORM record_recipient_events(ARRAY(SELECT id FROM added WHERE state NOT IN {UNTOLD}));
    PERFORM record_settled_emails(ARRAY(SELECT DISTINCT email_id FROM added WHERE state NOT IN {UNSETTLED}));
    RETURN NULL;
END
$$
"""  # noqa: S608 - constants of this module

# Sets are compared, not joined: a kept plan could be a nested loop, made for one recipient, and meet ten thousand.
RECORD_CHANGED = f"""
CREATE FUNCTION record_changed_recipients() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        WITH owners AS MATERIALIZED (SELECT DISTINCT owner_id FROM after)
        SELECT FROM owners WHERE mail_events_are_wanted(owner_id)
    ) THEN
        RETURN NULL;
    END IF;
    PERFORM record_recipient_events(ARRAY(
        SELECT id FROM (SELECT id, state, attempts FROM after EXCEPT SELECT id, state, attempts FROM before) AS changed
    ));
    PERFORM record_settled_emails(ARRAY(
        SELECT DISTINCT email_id FROM (
            SELECT id, email_id FROM after WHERE state NOT IN {UNSETTLED}
            INTERSECT SELECT id, email_id FROM before WHERE state IN {UNSETTLED}
        ) AS settled
    ));
    RETURN NULL;
END
$$
"""  # noqa: S608 - constants of this module

# Files go with their user, of whom nothing more can be recorded.
RECORD_FILES = f"""
CREATE FUNCTION record_file_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (name, owner_id, subject_id, version, body)
    SELECT tg_argv[0], owner_id, id, {NEXT}, to_jsonb(changed) - 'storage_key'
    FROM changed
    WHERE owner_id IN (
        WITH owners AS MATERIALIZED (SELECT DISTINCT owner_id FROM changed)
        SELECT owner_id FROM owners
        WHERE event_is_wanted(tg_argv[0], owner_id) AND EXISTS (SELECT FROM users WHERE users.id = owner_id)
    );
    RETURN NULL;
END
$$
"""  # noqa: S608 - constants of this module
RECORD_USER = f"""
CREATE FUNCTION record_user_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF event_is_wanted('user.created', new.id) THEN
        INSERT INTO events (name, owner_id, subject_id, version, body)
        VALUES ('user.created', new.id, new.id, {NEXT},
                jsonb_build_object('id', new.id, 'email', new.email, 'name', new.name, 'role', new.role,
                                   'created_at', new.created_at));
    END IF;
    RETURN NULL;
END
$$
"""  # noqa: S608 - constants of this module


def upgrade() -> None:
    for function in (MAIL_IS_WANTED, EMAIL_BODY, RECORD_RECIPIENTS, RECORD_SETTLED, RECORD_QUEUED, RECORD_CHANGED,
                     RECORD_FILES, RECORD_USER):  # fmt: skip
        op.execute(function)
    op.execute("""
        CREATE TRIGGER recipients_record_birth AFTER INSERT ON recipients REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION record_queued_recipients()
    """)
    op.execute("""
        CREATE TRIGGER recipients_record_change AFTER UPDATE ON recipients
        REFERENCING OLD TABLE AS before NEW TABLE AS after
        FOR EACH STATEMENT EXECUTE FUNCTION record_changed_recipients()
    """)
    op.execute("""
        CREATE TRIGGER files_record_birth AFTER INSERT ON files REFERENCING NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('file.created')
    """)
    op.execute("""
        CREATE TRIGGER files_record_end AFTER DELETE ON files REFERENCING OLD TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION record_file_events('file.deleted')
    """)
    op.execute("""
        CREATE TRIGGER users_record_birth AFTER INSERT ON users FOR EACH ROW
        WHEN (new.id <> '00000000-0000-0000-0000-000000000000') EXECUTE FUNCTION record_user_event()
    """)


def downgrade() -> None:
    for table, trigger in (
        ("users", "record_birth"), ("files", "record_end"), ("files", "record_birth"),
        ("recipients", "record_change"), ("recipients", "record_birth"),
    ):  # fmt: skip
        op.execute(f"DROP TRIGGER {table}_{trigger} ON {table}")
    for function in (
        "record_user_event", "record_file_events", "record_changed_recipients", "record_queued_recipients",
        "record_settled_emails", "record_recipient_events", "email_event_body", "mail_events_are_wanted",
    ):  # fmt: skip
        op.execute(f"DROP FUNCTION {function}")
    # Nobody would know them any more.
    op.execute("DELETE FROM events WHERE name NOT LIKE 'job.%'")
