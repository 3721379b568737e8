"""Webhooks as their receivers verify them, beside the library that Standard Webhooks publishes."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from jobyard import WebhookNotValid, verify_webhook

SECRET = "whsec_" + base64.b64encode(b"a secret of 24 bytes, abc").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of 24 bytes").decode()
BODY = json.dumps(
    {
        "id": "0198f2a5-8c9d-7a10-8e0d-1c2d3e4f5061",
        "type": "job.succeeded",
        "timestamp": "2026-11-24T12:00:02Z",
        "data": {"id": "1", "kind": "test.echo", "state": "succeeded", "done": True, "version": 4, "new_field": 1},
    }
).encode()


def sign(body: bytes = BODY, secret: str = SECRET, moment: datetime | None = None) -> dict[str, str]:
    moment = moment or datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", moment, body.decode())
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": signature,
    }


def test_what_the_reference_library_signs_is_believed_and_read() -> None:
    event = verify_webhook(BODY, sign(), SECRET)
    assert (event.type, event.job.id, event.job.succeeded) == ("job.succeeded", "1", True)
    assert event.timestamp == datetime(2026, 11, 24, 12, 0, 2, tzinfo=UTC)


def test_one_fitting_signature_of_several_is_enough_and_so_is_one_fitting_secret() -> None:
    both = sign(secret=OTHER)["Webhook-Signature"] + " " + sign()["Webhook-Signature"]
    headers = sign() | {"Webhook-Signature": f"v1a,AAAA {both}"}
    assert verify_webhook(BODY, headers, SECRET)
    assert verify_webhook(BODY, sign(), [OTHER, SECRET])


@given(st.binary(max_size=40))
def test_no_other_body_is_believed(body: bytes) -> None:
    with pytest.raises(WebhookNotValid):
        verify_webhook(body, sign(), SECRET)


@pytest.mark.parametrize(
    "change",
    [
        {"Webhook-Id": "msg_2"},
        {"Webhook-Id": ""},
        {"Webhook-Signature": ""},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,é"},
        {"Webhook-Signature": "v2," + sign()["Webhook-Signature"].removeprefix("v1,")},
        {"Webhook-Timestamp": "soon"},
        {"Webhook-Timestamp": "-1"},
        {"Webhook-Timestamp": "٣"},
        {"Webhook-Timestamp": "9" * 400},
    ],
)
def test_changed_headers_are_not_believed(change: dict[str, str]) -> None:
    with pytest.raises(WebhookNotValid):
        verify_webhook(BODY, sign() | change, SECRET)


@pytest.mark.parametrize("shift", [timedelta(seconds=-310), timedelta(seconds=310)])
def test_what_was_signed_too_long_ago_or_in_the_future_is_not_believed(shift: timedelta) -> None:
    headers = sign(moment=datetime.now(UTC) + shift)
    with pytest.raises(WebhookNotValid):
        verify_webhook(BODY, headers, SECRET)
    assert verify_webhook(BODY, headers, SECRET, tolerance=600)


def test_a_signed_body_that_is_no_event_is_not_believed() -> None:
    with pytest.raises(WebhookNotValid):
        verify_webhook(b"[]", sign(b"[]"), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_***"])
def test_a_secret_that_is_none_is_a_mistake_of_the_receiver(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(BODY, sign(), secret)
