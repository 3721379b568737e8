"""Signatures that the library of Standard Webhooks takes, and the pauses between attempts."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared.webhook_signing import headers, new_secret, sign
from worker.webhook_schedule import MOST_ATTEMPTS, PAUSES, parse_retry_after, pause_after

ID = "0198f2a5-8c9d-7e01-9f2b-3d4e5f607182"
BODY = json.dumps({"type": "job.succeeded", "data": {"text": "Grüße"}}).encode()
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def now() -> int:
    return int(datetime.now(UTC).timestamp())


def test_a_secret_is_of_32_random_bytes() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != new_secret()


def test_a_known_message_has_the_signature_that_the_specification_gives() -> None:
    secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    found = sign(
        secret, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553, b'{"email":"test@example.com","username":"test_user"}'
    )
    assert found == "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="


def test_each_secret_of_a_rotation_verifies_and_no_other_does() -> None:
    old, new = new_secret(), new_secret()
    given = headers([new, old], ID, now(), BODY)
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, given) == json.loads(BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, given)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY + b" ", given)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY, headers([new], ID, now() - 3600, BODY))


def test_pauses_follow_the_schedule_give_or_take_a_tenth() -> None:
    assert MOST_ATTEMPTS == 10
    for number, planned in enumerate(PAUSES, 1):
        drawn = {pause_after(number, None) / planned for _ in range(50)}
        assert 0.9 <= min(drawn) < max(drawn) <= 1.1
    assert pause_after(1, timedelta(hours=1)) == timedelta(hours=1)
    assert pause_after(9, timedelta(seconds=1)) > timedelta(hours=20)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120), (" 0 ", 0), ("99999999999999999999", 86400), ("Tue, 24 Nov 2026 12:30:00 GMT", 1800),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0), ("Tue, 24 Nov 2030 11:00:00 GMT", 86400), ("-5", None), ("soon", None),
        ("1000000000", 86400), ("9" * 300, 86400), ("(" * 300, None), ("120, 5", None), ("\x80\xff", None),
        ("", None), (None, None), ("1.5", None), ("Tue, 99 Nov 2026 12:30:00 GMT", None), ("²", None),
    ],
)  # fmt: skip
def test_retry_after_is_read_and_bounded(value: str | None, seconds: int | None) -> None:
    found = parse_retry_after(value, NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))
