"""Verifying that a webhook comes from Jobyard: Standard Webhooks, symmetric signatures of version 1."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence

from jobyard.errors import AnswerNotValid, WebhookNotValid
from jobyard.reading import read
from jobyard.webhook_models import Event

TOLERANCE_SECONDS = 300.0

_PREFIX = "whsec_"
_VERSION = "v1"


def verify_webhook(
    body: bytes, headers: Mapping[str, str], secret: str | Sequence[str], tolerance: float = TOLERANCE_SECONDS
) -> Event:
    """Give the event of a webhook's request; the body as it came, byte by byte, and the headers by any case.

    Of several secrets any will do, as while they rotate. Raises `WebhookNotValid` for what was signed by nobody who
    knows one, or longer ago, or later, than `tolerance` seconds; `ValueError` for a secret that is none.
    """
    known = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = _required(known, "webhook-id"), _required(known, "webhook-timestamp")
    _require_recent(timestamp, tolerance)
    given = _signatures(_required(known, "webhook-signature"))
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    signed = f"{message_id}.{timestamp}.".encode() + body
    # All of them are compared, whichever fits.
    fits = [hmac.compare_digest(_sign(key, signed), each) for key in keys for each in given]
    if not any(fits):
        raise WebhookNotValid("No signature of the webhook fits the secret.")
    try:
        return read(Event, json.loads(body))
    except (ValueError, AnswerNotValid) as error:
        raise WebhookNotValid("The webhook has no event in it.") from error


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "").strip()
    if not value:
        raise WebhookNotValid(f"The webhook has no {name}.")
    return value


def _require_recent(timestamp: str, tolerance: float) -> None:
    if not (timestamp.isascii() and timestamp.isdigit()):
        raise WebhookNotValid("The webhook has a webhook-timestamp that is no number.")
    # Compared as it is: the text may be longer than what a float holds.
    if not time.time() - tolerance <= int(timestamp[:20]) <= time.time() + tolerance:
        raise WebhookNotValid("The webhook was signed too long ago, or by another clock.")


def _signatures(header: str) -> list[bytes]:
    pairs = [each.partition(",") for each in header.split()]
    return [signature.encode() for version, _, signature in pairs if version == _VERSION]


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raise ValueError("a secret is whsec_ and base64") from None
    if not key:
        raise ValueError("the secret is empty")
    return key


def _sign(key: bytes, signed: bytes) -> bytes:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
