"""Events of e-mails and recipients: each change once, and the end of an e-mail exactly once, whoever makes it."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg

from shared.settings import Settings
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from tests.integration.emails.mailings import Line, cancel, job_ids, put_template, send
from tests.integration.events.conftest import Ear
from tests.lock_waits import WAITING

THREE = ["ann@example.org", "ben@example.org", "cem@example.org"]
SETTLE = "UPDATE recipients SET state = 'sent' WHERE email_id = %s AND position = %s"


def summary(email: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in email.items() if name != "recipients"}


def suppress(post: Post, *addresses: str) -> None:
    for address in addresses:
        answer = post.client.post("/v1/suppressions", json={"address": address}, headers=post.owner.headers)
        assert answer.status_code == 201, answer.text


def test_an_email_tells_its_way_in_order(post: Post, mail_server: MailServer, ear: Ear) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["451 4.7.1 later"], "cem@example.org": ["550 5.1.1 nobody"]}
    ear.listen("email.*")

    email = post.send(to=THREE, tags=["order"])
    assert [(event.type, event.data) for event in ear.heard()] == [("email.queued", summary(email))]
    post.attempt(email)
    first = ear.heard()[1:]
    assert sorted(event.type for event in first) == [
        "email.recipient.bounced", "email.recipient.deferred", "email.recipient.sent",
    ]  # fmt: skip
    post.attempt(email)

    told, last = ear.heard()[4:]
    assert (told.type, last.type) == ("email.recipient.sent", "email.settled")
    settled = post.read(email)
    assert last.data == summary(settled)
    assert (last.data["done"], last.data["counts"]["sent"], last.data["counts"]["bounced"]) == (True, 2, 1)
    assert told.data == {
        "email_id": email["id"], "mailing_id": None, "tags": ["order"], "recipient": settled["recipients"][1],
    }  # fmt: skip


def test_versions_rise_with_each_word_on_one_subject(post: Post, mail_server: MailServer, ear: Ear) -> None:
    mail_server.rcpt_replies = {"ann@example.org": ["451 later", "451 later still"]}
    ear.listen("email.*")
    email = post.send()
    for _ in range(3):
        post.attempt(email)

    by_subject: dict[UUID, list[tuple[int, str]]] = {}
    for row in ear.rows():
        by_subject.setdefault(row.subject_id, []).append((row.version, row.name))
    assert all(versions == sorted(versions) for versions in by_subject.values())
    assert [name for _, name in by_subject[UUID(email["id"])]] == ["email.queued", "email.settled"]
    [of_recipient] = [told for subject, told in by_subject.items() if str(subject) != email["id"]]
    assert [name.rpartition(".")[2] for _, name in of_recipient] == ["deferred", "deferred", "sent"]


def test_who_is_suppressed_at_birth_is_told_and_settles_the_email(post: Post, ear: Ear) -> None:
    suppress(post, *THREE[:2])
    ear.listen("email.*")

    email = post.send(to=THREE[:2])

    assert ear.names() == ["email.queued", *2 * ["email.recipient.suppressed"], "email.settled"]
    assert ear.heard()[-1].data == summary(email)


def test_one_who_is_suppressed_does_not_settle_the_others(post: Post, ear: Ear) -> None:
    suppress(post, THREE[0])
    ear.listen("email.*")
    post.send(to=THREE)
    assert ear.names() == ["email.queued", "email.recipient.suppressed"]


def test_a_cancelled_email_is_settled_once(post: Post, ear: Ear) -> None:
    ear.listen("email.settled", "email.recipient.*")
    email = post.send(to=THREE)

    for _ in range(2):
        assert post.client.post(email["links"]["cancel"], headers=post.owner.headers).status_code == 200

    assert Counter(ear.names()) == {"email.recipient.cancelled": 3, "email.settled": 1}
    assert ear.heard()[-1].data == summary(post.read(email))


def test_a_job_that_ends_by_itself_settles_its_emails(post: Post, ear: Ear) -> None:
    ear.listen("email.settled", "email.recipient.*")
    email = post.send(to=THREE)

    answer = post.client.post(f"{email['links']['job']}/cancel", headers=post.owner.headers)

    assert answer.status_code == 200
    assert Counter(ear.names()) == {"email.recipient.cancelled": 3, "email.settled": 1}


def test_each_email_of_a_mailing_tells_of_itself(post: Post, ear: Ear) -> None:
    put_template(post, post.owner)
    suppress(post, "a1@example.org")
    ear.listen("email.*")

    mailing = send(post, 150)
    assert Counter(ear.names()) == {"email.queued": 150, "email.recipient.suppressed": 1, "email.settled": 1}
    line = Line(post)
    for job_id in job_ids(post, mailing):
        line.run(job_id)

    assert Counter(ear.names()) == {
        "email.queued": 150, "email.recipient.suppressed": 1, "email.recipient.sent": 149, "email.settled": 150,
    }  # fmt: skip
    assert len({row.subject_id for row in ear.rows() if row.name == "email.settled"}) == 150
    assert {event.data["mailing_id"] for event in ear.heard()} == {mailing["id"]}


def test_a_mailing_can_be_cancelled_while_somebody_listens(post: Post, ear: Ear) -> None:
    put_template(post, post.owner)
    mailing = send(post, 250)
    ear.listen("email.*")
    assert cancel(post, mailing).status_code == 200
    assert Counter(ear.names()) == {"email.recipient.cancelled": 250, "email.settled": 250}


def test_only_the_owner_of_the_webhook_hears(post: Post, ear: Ear) -> None:
    ear.subscribe(post.owner, "email.recipient.*")
    email = post.send()
    post.attempt(email)
    assert ear.names() == ["email.recipient.sent"]


def test_what_does_not_change_a_state_is_not_told(post: Post, ear: Ear, database: psycopg.Connection[Any]) -> None:
    post.attempt(post.send())
    ear.listen("*")
    database.execute("UPDATE recipients SET name = 'Another'")
    database.execute("UPDATE emails SET tags = '{a}'")
    assert ear.names() == []


def test_the_texts_of_emails_are_not_repeated(post: Post, ear: Ear) -> None:
    ear.listen("email.*")
    post.send(text="a secret text", html="<p>a secret text</p>")
    assert "secret text" not in str(ear.rows())


def test_rivals_that_settle_the_last_two_recipients_tell_of_the_end_once(
    post: Post, ear: Ear, database: psycopg.Connection[Any]
) -> None:
    email = post.send(to=THREE[:2])
    ear.listen("email.settled")
    with connect(post.settings) as rival, ThreadPoolExecutor(1) as thread:
        with connect(post.settings) as first, first.transaction():
            first.execute(SETTLE, (email["id"], 0))
            second = thread.submit(rival.execute, SETTLE, (email["id"], 1))
            await_waiting(database, 1)
            assert ear.names() == []
        second.result(10)

    [event] = ear.heard()
    assert event.data == summary(post.read(email))
    assert event.data["counts"]["sent"] == 2


def test_nobody_waits_for_a_rival_when_nobody_listens(post: Post, ear: Ear) -> None:
    email = post.send(to=THREE[:2])
    with connect(post.settings) as first, connect(post.settings) as second, first.transaction():
        first.execute(SETTLE, (email["id"], 0))
        second.execute("SET lock_timeout = '1ms'")
        second.execute(SETTLE, (email["id"], 1))
    assert ear.names() == []


def test_a_plan_made_for_one_recipient_serves_hundreds(post: Post, ear: Ear, database: psycopg.Connection[Any]) -> None:
    put_template(post, post.owner)
    ear.listen("email.*")
    email = post.send()
    database.execute("ANALYZE emails, recipients")
    # Plans are made when a function was called some times in a session.
    for state in ("sending", "deferred") * 4:
        database.execute("UPDATE recipients SET state = %s WHERE email_id = %s", (state, email["id"]))
    send(post, 300)
    ear.forget()

    with database.transaction():
        before = read_whole_scans(database)
        database.execute("UPDATE recipients SET state = 'sent'")
        after = read_whole_scans(database)

    assert Counter(ear.names()) == {"email.recipient.sent": 301, "email.settled": 301}
    # The statement itself reads the recipients.
    assert {name: after[name] - before[name] for name in ("recipients", "emails")} == {"recipients": 1, "emails": 0}


def connect(settings: Settings) -> psycopg.Connection[Any]:
    return psycopg.connect(settings.database_url, autocommit=True)


def await_waiting(database: psycopg.Connection[Any], number: int) -> None:
    while database.execute(WAITING).fetchall() != [(number,)]:
        pass


def read_whole_scans(database: psycopg.Connection[Any]) -> dict[str, int]:
    return dict(database.execute("SELECT relname, seq_scan FROM pg_stat_xact_user_tables").fetchall())
