"""Telling that a job changed: its new frame over Redis, once, for whoever waits in any web process.

An event may be lost: every waiter also reads the ledger once a second. So publishing never fails and never waits long.

    <job id> <owner id> <version> <silent: 0 | 1>, line feed, <the frame as GET gives it; nothing where it is too large>

Where many jobs of an owner change at once, or come to be, it is enough to say of whom: those who watch that owner's
jobs look into the ledger. To web processes it is only said while one of them says that somebody there watches.

    <who says it> <owner id> <owner id> ...
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import orjson
import redis

from shared.job_row import JobRow, job_frame
from shared.settings import Settings

logger = logging.getLogger(__name__)

CHANNEL = "jobyard:job-events"
NEWS_CHANNEL = "jobyard:owner-news"
"""Names owners some of whose jobs have changed, or have come to be."""
INTEREST_CHANNEL = "jobyard:owner-interest"
"""Names owners of whom somebody watches more than single jobs, in the web process that says so."""
TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 2.0
LARGEST_FRAME_BYTES = 64 * 1024
"""What is larger is read from the ledger by those who want it, instead of being sent to every web process."""
_LONGEST_HEAD = 128

JSON_OPTIONS = orjson.OPT_UTC_Z
"""How a frame is written, here and in answers: the same bytes everywhere."""


@dataclass(frozen=True, slots=True)
class EventHead:
    """Says which job of whom has changed, and into which version; `frame_at` is where the message's frame begins."""

    job_id: UUID
    owner_id: UUID
    version: int
    silent: bool
    frame_at: int


def encode_frame(row: JobRow, retention: timedelta) -> bytes:
    """Write a job's frame as JSON: the one wire shape of GET, SSE, WebSocket and webhooks."""
    return orjson.dumps(job_frame(row, retention), option=JSON_OPTIONS)


def encode_event(row: JobRow, retention: timedelta) -> bytes:
    """Write a change as the message of the channel."""
    frame = encode_frame(row, retention)
    head = f"{row.id} {row.owner_id} {row.version} {int(row.silent)}\n".encode()
    return head + (frame if len(frame) <= LARGEST_FRAME_BYTES else b"")


def decode_head(message: bytes) -> EventHead:
    """Read the head of a message, and no more of it; raises `ValueError` for anything else."""
    end = message.find(b"\n", 0, _LONGEST_HEAD)
    if end < 0:
        raise ValueError("This message has no head.")
    job_id, owner_id, version, silent = message[:end].decode("ascii").split(" ")
    return EventHead(UUID(job_id), UUID(owner_id), int(version), silent == "1", end + 1)


def encode_owners(sender: str, owner_ids: Iterable[UUID]) -> bytes:
    """Write a message that names owners; `sender` is a word."""
    return " ".join([sender, *map(str, owner_ids)]).encode()


def decode_owners(message: bytes) -> tuple[str, list[UUID]]:
    """Read who names which owners; raises `ValueError` for anything else."""
    sender, *owner_ids = message.decode("ascii").split(" ")
    return sender, [UUID(owner_id) for owner_id in owner_ids]


class EventPublisher:
    """Publishes changes from a process without an event loop; pauses for 2 s when Redis does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._retention = settings.job_retention
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )
        self._quiet_until = 0.0

    def publish(self, rows: Iterable[JobRow]) -> None:
        """Tell that jobs now are as these rows say, in one round trip; drops it when Redis is away."""
        self._send((CHANNEL, encode_event(row, self._retention)) for row in rows)

    def publish_news(self, owner_id: UUID) -> None:
        """Tell that some jobs of an owner have changed or come to be; drops it when Redis is away."""
        self._send([(NEWS_CHANNEL, encode_owners("worker", [owner_id]))])

    def _send(self, messages: Iterable[tuple[str, bytes]]) -> None:
        if time.monotonic() < self._quiet_until:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for channel, message in messages:
                    pipeline.publish(channel, message)
                pipeline.execute()
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("no events for %s s, Redis does not answer: %s", PAUSE_SECONDS, type(error).__name__)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
