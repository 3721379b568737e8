"""Signing webhooks as Standard Webhooks has it: HMAC-SHA256 over id, timestamp and body.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Signature scheme".
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins, not one
_SECRET_BYTES = 32


def new_secret() -> str:
    """Make a secret of 32 random bytes, as it is shown to the endpoint's owner."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def sign(secret: str, webhook_id: UUID | str, timestamp: int, body: bytes) -> str:
    """Sign what is sent at `timestamp`, in seconds since 1970; gives the signature with its version."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((str(webhook_id).encode("ascii"), str(timestamp).encode("ascii"), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")


def headers(secret_of_each: Sequence[str], webhook_id: UUID | str, timestamp: int, body: bytes) -> dict[str, str]:
    """Give the three headers of a delivery, signed with every secret: two while a rotation lasts."""
    return {
        "webhook-id": str(webhook_id),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, webhook_id, timestamp, body) for secret in secret_of_each),
    }
