"""Many e-mails in one job: what goes wrong with one does not concern the others."""

import shutil
from typing import Any
from uuid import UUID

import pytest
from psycopg.sql import SQL, Identifier

from shared.storage import upload_key
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer

NAMES = ["ann", "ben", "cyd", "dan", "eve"]


def send_batch(post: Post, domain: str = "example.org", **common: Any) -> list[dict[str, Any]]:
    bodies = [{"to": [f"{name}@{domain}"], "subject": name, "text": "Hi."} | common for name in NAMES]
    answer = post.client.post("/v1/emails/batch", json=bodies, headers=post.owner.headers)
    assert answer.status_code == 202, answer.text
    emails = [item["email"] for item in answer.json()["items"]]
    assert len({email["job_id"] for email in emails}) == 1
    return emails


def states(post: Post, emails: list[dict[str, Any]]) -> list[str]:
    return [recipient["state"] for email in emails for recipient in post.read(email)["recipients"]]


def test_the_messages_of_a_job_go_by_themselves(post: Post, mail_server: MailServer) -> None:
    mail_server.rcpt_replies = {"ben@example.org": ["450 Later"], "cyd@example.org": ["550 5.1.1 Who"]}
    emails = send_batch(post)
    assert post.attempt(emails[0]) == "retrying"
    assert states(post, emails) == ["sent", "deferred", "bounced", "sent", "sent"]
    assert post.attempt(emails[0]) == "succeeded"
    assert states(post, emails) == ["sent", "sent", "bounced", "sent", "sent"]
    assert sorted(arrived.recipients[0] for arrived in mail_server.delivered) == [
        f"{name}@example.org" for name in NAMES if name != "cyd"
    ]


@pytest.mark.parametrize(
    ("column", "value", "job_state", "state"),
    [
        # What no message can be made of, and an error that nobody foresaw.
        ("sender", "no address", "succeeded", "failed"),
        ("headers", '{"X-Number": 5}', "retrying", "deferred"),
    ],
)
def test_a_message_that_breaks_costs_no_other(
    post: Post, mail_server: MailServer, column: str, value: str, job_state: str, state: str
) -> None:
    emails = send_batch(post)
    broken = SQL("UPDATE emails SET {} = %s WHERE id = %s").format(Identifier(column))
    post.database.execute(broken, (value, emails[2]["id"]))
    assert post.attempt(emails[0]) == job_state
    rows = post.database.execute(
        "SELECT state FROM recipients JOIN emails ON emails.id = email_id WHERE job_id = %s ORDER BY email_id",
        (emails[0]["job_id"],),
    ).fetchall()
    assert [row[0] for row in rows] == ["sent", "sent", state, "sent", "sent"]
    assert len(mail_server.delivered) == 4


def test_a_storage_that_is_away_defers(post: Post, mail_server: MailServer) -> None:
    attached = post.store("a.bin", "application/octet-stream", b"abc")
    email = post.send(attachment_ids=[str(attached)])
    blob = post.settings.storage_dir / upload_key(attached)
    aside = blob.with_suffix(".aside")
    shutil.move(blob, aside)
    blob.mkdir()
    assert post.attempt(email) == "retrying"
    assert post.states(email) == {"ann@example.org": "deferred"}
    blob.rmdir()
    shutil.move(aside, blob)
    assert post.attempt(email) == "succeeded"
    [part] = mail_server.delivered[0].message.iter_attachments()
    assert part.get_payload(decode=True) == b"abc"


def test_cancelling_one_lets_the_others_go(post: Post, mail_server: MailServer) -> None:
    emails = send_batch(post)
    assert post.client.post(emails[1]["links"]["cancel"], headers=post.owner.headers).status_code == 200
    assert post.attempt(emails[0]) == "succeeded"
    assert states(post, emails) == ["sent", "cancelled", "sent", "sent", "sent"]
    assert len(mail_server.delivered) == 4
    progress = post.job(emails[0])["progress"]
    assert (progress["completed"], progress["total"]) == (5, 5)


def test_a_job_that_is_cancelled_settles_all(post: Post, mail_server: MailServer) -> None:
    emails = send_batch(post)
    cancelled = post.client.post(f"{emails[0]['links']['job']}/cancel", headers=post.owner.headers)
    assert cancelled.status_code == 200
    assert states(post, emails) == ["cancelled"] * 5
    assert all(post.read(email)["done"] for email in emails)
    assert mail_server.asked == []


def test_a_job_that_is_given_up_leaves_nothing_open(post: Post) -> None:
    emails = send_batch(post)
    post.database.execute("UPDATE recipients SET state = 'sending' WHERE email_id = %s", (emails[0]["id"],))
    job_id = UUID(emails[0]["job_id"])
    post.database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (job_id,))
    post.database.execute("UPDATE jobs SET state = 'failed', finished_at = now() WHERE id = %s", (job_id,))
    assert states(post, emails) == ["uncertain", *["failed"] * 4]
