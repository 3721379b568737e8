"""Identifiers that sort by time."""

import hashlib
import os
import time
from datetime import UTC, datetime
from uuid import UUID

_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_RANDOM_BITS = ((1 << 12) - 1) << 64 | ((1 << 62) - 1)


def new_id() -> UUID:
    """Make a UUIDv7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 random bits."""
    return _uuid7(time.time_ns() // 1_000_000, os.urandom(16))


def id_for(moment: datetime, name: str) -> UUID:
    """Make the one UUIDv7 that stands for `name` at `moment`: equal arguments give equal ids on every machine."""
    return _uuid7(int(moment.timestamp() * 1000), hashlib.sha256(name.encode()).digest()[:16])


def moment_of(id_: UUID) -> datetime:
    """Read the moment that an id of ours carries."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


def _uuid7(milliseconds: int, tail: bytes) -> UUID:
    return UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT | (int.from_bytes(tail, "big") & _RANDOM_BITS))
