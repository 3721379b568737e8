"""Telling that a job changed: a hint over Redis, so that whoever waits reads the ledger at once.

A hint may be lost: every waiter also reads the ledger once a second. So publishing never fails and never waits long.
"""

import logging
import time
from uuid import UUID

import redis

from shared.settings import Settings

logger = logging.getLogger(__name__)

CHANNEL = "jobyard:job-events"
TIMEOUT_SECONDS = 0.5
PAUSE_SECONDS = 2.0


def encode_event(job_id: UUID, version: int) -> str:
    """Write a change as the message of the channel."""
    return f"{job_id} {version}"


def decode_event(message: str) -> tuple[UUID, int]:
    """Read a message of the channel; raises `ValueError` for anything else."""
    job_id, _, version = message.partition(" ")
    return UUID(job_id), int(version)


class EventPublisher:
    """Publishes changes from a process without an event loop; pauses for 2 s when Redis does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._redis = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )
        self._quiet_until = 0.0

    def publish(self, job_id: UUID, version: int) -> None:
        """Tell that a job now has this version; drops the hint when Redis is away."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._redis.publish(CHANNEL, encode_event(job_id, version))
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + PAUSE_SECONDS
            logger.warning("no hints for %s s, Redis does not answer: %s", PAUSE_SECONDS, type(error).__name__)

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()
