"""Who registers gets one e-mail, of real processes in a mailbox; also if the worker dies after it wrote it down."""

import mailbox
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
import pytest

from tests.faults.conftest import Yard
from tests.polling import await_that

LISTENS = "SELECT count(*) FROM event_listeners WHERE event = 'user.created'"
SENT = "SELECT count(*) FROM recipients WHERE address = %s AND state = 'sent'"
WRITTEN = "SELECT count(*) FROM emails JOIN recipients ON email_id = emails.id WHERE address = %s"
ENDED = """
SELECT count(*) FROM jobs WHERE kind = 'listener.welcome_email' AND state = 'succeeded'
    AND input #>> '{event,data,email}' = %s
"""
ATTEMPTS = """
SELECT array_agg(outcome ORDER BY job_attempts.fence) FROM job_attempts JOIN jobs ON jobs.id = job_id
WHERE kind = 'listener.welcome_email' AND input #>> '{event,data,email}' = %s
"""
RUNS_IT = """
SELECT worker FROM job_attempts JOIN jobs ON jobs.id = job_id
WHERE kind = 'listener.welcome_email' AND input #>> '{event,data,email}' = %s AND ended_at IS NULL
"""
LOCK_JOB = """
SELECT count(*) FROM (
    SELECT FROM jobs WHERE kind = 'listener.welcome_email' AND state = 'running'
        AND input #>> '{event,data,email}' = %s FOR UPDATE
) AS locked
"""
HELD_UP = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid)) AND query LIKE %s"
END_HELD_UP = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"


@pytest.fixture
def ledger(yard: Yard) -> Iterator[psycopg.Connection]:
    with psycopg.connect(yard.stack.endpoints.database_url, autocommit=True) as ledger:
        await_count(ledger, 1, LISTENS)
        yield ledger


def await_count(ledger: psycopg.Connection, number: int, question: LiteralString, *values: object) -> None:
    await_that(lambda: ledger.execute(question, values).fetchall() == [(number,)])


def register(yard: Yard, address: str) -> None:
    account = {"email": address, "password": "long enough for a test", "name": "Ada"}
    assert yard.client.post("/v1/auth/register", json=account).status_code == 201


def mails_to(yard: Yard, address: str) -> list[mailbox.MaildirMessage]:
    box = mailbox.Maildir(Path(yard.stack.endpoints.mailbox_dir), create=False)
    return [mail for mail in box if mail["X-RcptTo"] == address]


def child_of(ledger: psycopg.Connection, address: str) -> int:
    """Give the process that runs the listener's attempt for an address; a worker's name ends with it."""
    [(worker,)] = ledger.execute(RUNS_IT, (address,)).fetchall()
    return int(worker.rpartition(":")[2])


def test_a_registration_leads_to_one_mail_in_the_mailbox(yard: Yard, ledger: psycopg.Connection) -> None:
    register(yard, "ada@example.com")
    await_count(ledger, 1, SENT, "ada@example.com")

    [mail] = mails_to(yard, "ada@example.com")
    assert mail["From"] == '"Yard" <yard@example.com>'
    assert "Welcome" in mail["Subject"]


def test_a_worker_killed_after_it_wrote_the_email_down_makes_no_second_one(
    yard: Yard, ledger: psycopg.Connection
) -> None:
    address, url = "grace@example.com", yard.stack.endpoints.database_url
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        first.execute("LOCK TABLE recipients IN SHARE MODE")
        register(yard, address)
        await_count(ledger, 1, HELD_UP, first.info.backend_pid, "%recipients%")
        # It has begun, so its success can be held up; then it may write the e-mail.
        await_count(second, 1, LOCK_JOB, address)
        first.rollback()
        await_count(ledger, 1, WRITTEN, address)
        await_count(ledger, 1, HELD_UP, second.info.backend_pid, "%succeeded%")
        # No other: one that is sending the mail would send it again, as at_least_once has it.
        psutil.Process(child_of(ledger, address)).kill()
        # PostgreSQL would carry out what it was sent, for nobody: as if the kill had come before that.
        ledger.execute(END_HELD_UP, (second.info.backend_pid,))
        await_count(ledger, 0, HELD_UP, second.info.backend_pid, "%succeeded%")
    await_count(ledger, 1, ENDED, address)
    await_count(ledger, 1, SENT, address)

    assert ledger.execute(ATTEMPTS, (address,)).fetchall() == [(["worker_lost", "succeeded"],)]
    assert ledger.execute(WRITTEN, (address,)).fetchall() == [(1,)]
    assert len(mails_to(yard, address)) == 1
