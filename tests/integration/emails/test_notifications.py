"""Telling many people the same: each gets an e-mail of their own."""

from typing import Any

from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer

BODY: dict[str, Any] = {"to_emails": ["ann@example.org"], "subject": "Closed", "message": "Until Monday."}


def notify(post: Post, **body: Any) -> Any:
    return post.client.post("/v1/notifications", json=BODY | body, headers=post.owner.headers)


def test_everybody_gets_a_message_of_their_own(post: Post, mail_server: MailServer) -> None:
    answer = notify(post, to_emails=["ann@example.org", "Ben <ben@example.org>", "ANN@example.org"])
    assert answer.status_code == 202, answer.text
    batch = answer.json()
    assert (batch["failed"], [item["index"] for item in batch["items"]]) == (0, [0, 1])
    emails = [item["email"] for item in batch["items"]]
    assert emails == [post.read(email) for email in emails]
    assert post.attempt(emails[0]) == "succeeded"

    delivered = {each.recipients[0]: each for each in mail_server.delivered}
    assert delivered.keys() == {"ann@example.org", "ben@example.org"}
    for address, other in (("ann@example.org", b"ben"), ("ben@example.org", b"ann")):
        assert delivered[address].recipients == [address]
        assert delivered[address].sender == "jobyard@example.com"
        assert delivered[address].message["Subject"] == "Closed"
        assert delivered[address].message.get_content_type() == "text/plain"
        assert delivered[address].message.get_content().strip() == "Until Monday."
        assert other not in delivered[address].content
    assert delivered["ben@example.org"].message["To"] == "Ben <ben@example.org>"


def test_wrong_addresses_are_refused_alone(post: Post) -> None:
    wrong = ["ann", "ann@example.org\r\nBcc: evil@example.org", "ann@example.org, evil@example.org", "a\0@example.org"]
    batch = notify(post, to_emails=[*wrong, "ann@example.org"]).json()
    assert (batch["failed"], batch["items"][4]["email"]["counts"]["queued"]) == (4, 1)
    for index, item in enumerate(batch["items"][:4]):
        assert item["email"] is None
        assert (item["error"]["status"], item["error"]["code"]) == (422, "invalid_input")
        assert item["error"]["errors"][0]["pointer"] == f"/to_emails/{index}"
    none = notify(post, to_emails=wrong)
    assert (none.status_code, none.json()["code"]) == (422, "nothing_accepted")
    assert [error["pointer"] for error in none.json()["errors"]] == [f"/to_emails/{index}" for index in range(4)]
    assert post.database.execute("SELECT count(*) FROM emails").fetchone() == (1,)


def test_malformed_notifications_are_refused(post: Post) -> None:
    for wrong, pointer in (
        ({"to_emails": []}, "/to_emails"),
        ({"to_emails": "ann@example.org"}, "/to_emails"),
        ({"to_emails": [5]}, "/to_emails/0"),
        ({"to_emails": ["a" * 601]}, "/to_emails/0"),
        ({"to_emails": [f"a{n}@example.org" for n in range(1001)]}, "/to_emails"),
        ({"subject": "x\r\nBcc: evil@example.org"}, "/subject"),
        ({"subject": None}, "/subject"),
        ({"message": ""}, "/message"),
        ({"message": "a\0b"}, "/message"),
        ({"message": ["x"]}, "/message"),
        ({"from": "ann@example.com"}, "/from"),
    ):
        answer = notify(post, **wrong)
        assert answer.status_code == 422, wrong
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert post.client.post("/v1/notifications", json=BODY).status_code == 401


def test_a_notification_is_sent_once_under_its_key(post: Post) -> None:
    headers = post.owner.headers | {"Idempotency-Key": "closed"}
    first, second = (post.client.post("/v1/notifications", json=BODY, headers=headers) for _ in range(2))
    assert (second.status_code, second.json()) == (202, first.json())
    assert second.headers["Idempotency-Replayed"] == "true"
    assert post.database.execute("SELECT count(*) FROM emails").fetchone() == (1,)
