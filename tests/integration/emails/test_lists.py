"""Lists of e-mails: their pages, what can be asked for, and what PostgreSQL reads to answer."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import Select
from sqlalchemy.dialects import postgresql

from api.email_lists import EmailFilter, select_emails
from api.pages import PageQuery, select_page
from shared.email_shapes import RecipientState
from shared.ids import new_id
from shared.mail_models import Email
from tests.conftest import Owner
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer

MANY = 20_000
FILL_EMAILS = """
INSERT INTO emails (id, owner_id, message_id, sender, subject, text, created_at)
SELECT gen_random_uuid(), %s, '<' || n || '@example.com>', 'jobyard@example.com', 'Hello', n::text,
       now() - make_interval(secs => n)
FROM generate_series(1, %s) AS n
"""
FILL_RECIPIENTS = """
INSERT INTO recipients (id, email_id, owner_id, position, role, address, address_key, state)
SELECT gen_random_uuid(), id, owner_id, 0, 'to', address, address,
       CASE WHEN text::int BETWEEN 100 AND 199 THEN 'bounced' ELSE 'sent' END
FROM emails, LATERAL (SELECT 'a' || text || '@example.org' AS address) AS named
"""


def ids(post: Post, owner: Owner | None = None, **asked: Any) -> list[str]:
    answer = post.client.get("/v1/emails", params=asked, headers=(owner or post.owner).headers)
    assert answer.status_code == 200, answer.text
    return [email["id"] for email in answer.json()["items"]]


def test_lists_are_paged_newest_first(post: Post) -> None:
    sent = [post.send(subject=str(number))["id"] for number in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        asked = {"limit": "2", "state": "queued", **cursor}
        page = post.client.get("/v1/emails", params=asked, headers=post.owner.headers).json()
        seen += [email["id"] for email in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sent[::-1]


def test_emails_are_found_by_recipient_state_and_tags(post: Post, stranger: Owner, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@bücher.example": ["550 No"], "ben@xn--bcher-kva.example": ["550 No"]}
    mixed = post.send(to=["Ann <ann@example.org>"], bcc=["ben@bücher.example"], tags=["a", "b"])
    assert post.attempt(mixed) == "succeeded"
    waiting = post.send(to=["ANN@example.org"], tags=["a"])

    assert ids(post) == [waiting["id"], mixed["id"]]
    assert ids(post, recipient="Ann@Example.ORG") == ids(post)
    assert ids(post, recipient="Ben <ben@BÜCHER.example>") == [mixed["id"]]
    assert ids(post, recipient="cyd@example.org") == []
    assert ids(post, state="queued") == [waiting["id"]]
    assert ids(post, state=["queued", "bounced"]) == ids(post)
    assert ids(post, state="sent") == [mixed["id"]]
    # Somebody got it and somebody refused it, but not the other way round.
    assert ids(post, recipient="ann@example.org", state="bounced") == []
    assert ids(post, recipient="ben@bücher.example", state="bounced") == [mixed["id"]]
    assert ids(post, tag="a") == ids(post)
    assert ids(post, tag=["a", "b"]) == [mixed["id"]]
    assert ids(post, tag="a", state="queued", recipient="ann@example.org") == [waiting["id"]]
    assert ids(post, mailing_id=mixed["id"]) == []
    for asked in ({"recipient": "ann@example.org"}, {"state": "queued"}, {"tag": "a"}):
        assert ids(post, stranger, **asked) == []


def test_malformed_questions_are_refused(post: Post) -> None:
    for asked, pointer in (
        ({"recipient": "ann"}, "query/recipient"),
        ({"recipient": "ann@example.org\r\nx"}, "query/recipient"),
        ({"recipient": "a\0@example.org"}, "query/recipient"),
        ({"recipient": "a" * 700}, "query/recipient"),
        ({"state": "gone"}, "query/state/0"),
        ({"tag": "a b"}, "query/tag/0"),
        ({"tag": ["a"] * 21}, "query/tag"),
        ({"mailing_id": "x"}, "query/mailing_id"),
        ({"cursor": "x"}, "query/cursor"),
        ({"limit": "101"}, "query/limit"),
    ):
        answer = post.client.get("/v1/emails", params=asked, headers=post.owner.headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), asked


def test_emails_of_a_mailing_are_found(post: Post) -> None:
    email = post.send()
    post.send()
    mailing_id = new_id()
    post.database.execute(
        "INSERT INTO mailings (id, owner_id, template, subject, sender, recipients) VALUES (%s, %s, 'a', 'b', 'c', 1)",
        (mailing_id, post.owner.id),
    )
    post.database.execute("UPDATE emails SET mailing_id = %s WHERE id = %s", (mailing_id, email["id"]))
    assert ids(post, mailing_id=str(mailing_id)) == [email["id"]]
    assert post.read(email)["mailing_id"] == str(mailing_id)


def _explain(database: psycopg.Connection[Any], statement: Select[Any]) -> str:
    compiled = statement.compile(dialect=postgresql.psycopg.dialect(), compile_kwargs={"render_postcompile": True})
    rows = database.execute(f"EXPLAIN {compiled}".encode(), compiled.params).fetchall()
    return "\n".join(row[0] for row in rows)


@pytest.fixture
def full(database: psycopg.Connection[Any], owner: Owner) -> psycopg.Connection[Any]:
    """Give a database with many e-mails, few of which have bounced."""
    database.execute(FILL_EMAILS, (owner.id, MANY))
    database.execute(FILL_RECIPIENTS)
    database.execute("ANALYZE emails")
    database.execute("ANALYZE recipients")
    return database


def test_lists_read_indexes(full: psycopg.Connection[Any], owner: Owner) -> None:
    asked: list[tuple[str | None, list[RecipientState], str]] = [
        (None, [], "ix_emails_owner_list"),
        ("a77@example.org", [], "ix_recipients_owner_address"),
        ("a77@example.org", ["sent"], "ix_recipients_owner_address"),
        (None, ["bounced", "queued"], "ix_recipients_owner_state"),
        (None, ["sent"], "ix_emails_owner_list"),
    ]
    for recipient, states, index in asked:
        selected = select_emails(owner.id, EmailFilter(recipient, states, [], None))
        plan = _explain(full, select_page(selected, PageQuery(), Email.created_at, Email.id))
        assert "Seq Scan" not in plan, plan
        assert index in plan, plan
