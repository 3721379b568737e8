"""How mailings end: cancelled halfway, or purged with the last of their e-mails."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.database import make_engine
from shared.job_removal import remove_jobs
from tests.factories import enqueue, new_job, run_job
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer
from tests.integration.emails.mailings import Line, cancel, count, counted, emails, job_ids, put_template, read, send
from tests.lock_waits import WAITING


@pytest.fixture(autouse=True)
def template(post: Post) -> None:
    put_template(post, post.owner)


def test_cancelling_halfway_keeps_what_has_gone(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"a5@example.org": ["451 Later"]}
    mailing = send(post, 250)
    first, second, third = job_ids(post, mailing)
    line = Line(post)
    assert line.run(first) == "retrying"
    answers: list[Any] = []
    # While the second job hands a message over; the third one has not begun.
    mail_server.before_data_reply = once(lambda: answers.append(cancel(post, mailing)))
    assert line.run(second) in {"succeeded", "cancelled"}
    assert [answer.status_code for answer in answers] == [200]
    seen = read(post, mailing)
    assert seen["done"] is True
    assert seen["cancelled_at"] is not None
    assert set(counted(seen)) == {"sent", "cancelled"}
    assert seen["counts"]["sent"] == len(mail_server.delivered)
    assert 99 < seen["counts"]["sent"] < 150
    states = dict(post.database.execute("SELECT id, state FROM jobs WHERE id = ANY(%s)", ([first, third],)).fetchall())
    assert states == {first: "cancelled", third: "cancelled"}
    again = cancel(post, mailing)
    assert (again.status_code, again.json()) == (200, seen)


def once(call: Callable[[], Any]) -> Callable[[], None]:
    calls = [call]
    return lambda: calls.pop()() if calls else None


def test_cancelling_finds_those_that_were_given_another_time(post: Post) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    mailing = send(post, 3, send_at=later)
    [email, *_] = emails(post, mailing)
    moved = post.client.patch(email["links"]["self"], json={"send_at": later}, headers=post.owner.headers)
    assert moved.status_code == 200
    assert len(job_ids(post, mailing)) == 2
    assert counted(cancel(post, mailing).json()) == {"cancelled": 3}
    assert post.database.execute("SELECT DISTINCT state FROM jobs").fetchall() == [("cancelled",)]


def test_one_email_is_cancelled_alone(post: Post, mail_server: MailServer) -> None:
    mailing = send(post, 2)
    [email, _] = emails(post, mailing)
    assert post.client.post(email["links"]["cancel"], headers=post.owner.headers).status_code == 200
    [job_id] = job_ids(post, mailing)
    assert run_job(post.runner, post.database, post.kind, job_id) == "succeeded"
    assert counted(read(post, mailing)) == {"sent": 1, "cancelled": 1}
    assert len(mail_server.delivered) == 1


def purge(post: Post, kinds: dict[str, Any]) -> None:
    kind = kinds["jobs.purge"]
    job_id = enqueue(post.database, new_job(kind, post.owner.id, {"older_than_days": 1, "batch_size": 1}))
    assert run_job(post.runner, post.database, kind, job_id) == "succeeded"


def test_a_mailing_is_purged_with_the_last_of_its_emails(post: Post, kinds: dict[str, Any]) -> None:
    mailing, other = send(post, 150), send(post, 1)
    line = Line(post)
    for job_id in [*job_ids(post, mailing), *job_ids(post, other)]:
        assert line.run(job_id) == "succeeded"
    for job_id, left in zip(job_ids(post, mailing), (50, 0), strict=True):
        post.database.execute("UPDATE jobs SET finished_at = now() - interval '2 days' WHERE id = %s", (job_id,))
        purge(post, kinds)
        status = post.client.get(mailing["links"]["self"], headers=post.owner.headers).status_code
        assert status == (200 if left else 404)
        assert count(post, "emails") == left + 1
    # Who deletes a job by hand keeps its e-mails, and so the mailing.
    [email] = emails(post, other)
    assert post.client.delete(email["links"]["job"], headers=post.owner.headers).status_code == 204
    purge(post, kinds)
    assert counted(read(post, other)) == {"sent": 1}


def test_two_that_remove_the_last_emails_leave_no_empty_mailing(post: Post) -> None:
    mailing = send(post, 150)
    first, second = job_ids(post, mailing)
    engine = make_engine(post.settings, "test", pool_size=2)
    with Session(engine) as session, Session(engine) as rival:

        def remove_second() -> None:
            remove_jobs(rival, [second])
            rival.commit()

        remove_jobs(session, [first])
        thread = Thread(target=remove_second)
        thread.start()
        while post.database.execute(WAITING).fetchone() != (1,):
            assert thread.is_alive()
        session.commit()
        thread.join()
    engine.dispose()
    assert [count(post, table) for table in ("mailings", "emails", "jobs")] == [0, 0, 0]
