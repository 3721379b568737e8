"""Telling that a job changed: its new frame over Redis, once, for whoever waits in any web process.

An event may be lost: every waiter also reads the ledger once a second. So publishing never fails and never waits long.

    <job id> <owner id> <version> <silent: 0 | 1>, line feed, <the frame as GET gives it; nothing where it is too large>
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
TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 2.0
LARGEST_FRAME_BYTES = 64 * 1024
"""What is larger is read from the ledger by those who want it, instead of being sent to every web process."""

JSON_OPTIONS = orjson.OPT_UTC_Z
"""How a frame is written, here and in answers: the same bytes everywhere."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Is a change of a job. `frame` is None where it was too large: then the ledger has it."""

    job_id: UUID
    owner_id: UUID
    version: int
    silent: bool
    frame: bytes | None


def encode_frame(row: JobRow, retention: timedelta) -> bytes:
    """Write a job's frame as JSON: the one wire shape of GET, SSE, WebSocket and webhooks."""
    return orjson.dumps(job_frame(row, retention), option=JSON_OPTIONS)


def encode_event(row: JobRow, retention: timedelta) -> bytes:
    """Write a change as the message of the channel."""
    frame = encode_frame(row, retention)
    head = f"{row.id} {row.owner_id} {row.version} {int(row.silent)}\n".encode()
    return head + (frame if len(frame) <= LARGEST_FRAME_BYTES else b"")


def decode_event(message: bytes) -> JobEvent:
    """Read a message of the channel; raises `ValueError` for anything else."""
    head, _, frame = message.partition(b"\n")
    job_id, owner_id, version, silent = head.decode("ascii").split(" ")
    return JobEvent(UUID(job_id), UUID(owner_id), int(version), silent == "1", frame or None)


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
        if time.monotonic() < self._quiet_until:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for row in rows:
                    pipeline.publish(CHANNEL, encode_event(row, self._retention))
                pipeline.execute()
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("no events for %s s, Redis does not answer: %s", PAUSE_SECONDS, type(error).__name__)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
