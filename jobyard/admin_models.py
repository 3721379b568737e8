"""What the server tells operators: of queues, workers, broadcasts, and what users may store."""

from dataclasses import dataclass
from datetime import datetime

from jobyard.reading import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueStatus(Model):
    """Is how a queue stands; what is `…_capped` was not counted to its end.

    `waiting` jobs are queued and not handed to Celery yet, `dispatched` ones handed over and not begun, `scheduled` and
    `retrying` ones wait for their time. `wait_p95_seconds` is what 95 of 100 jobs of the last hour waited at most.
    """

    name: str
    paused: bool
    paused_at: datetime | None = None
    paused_by: str | None = None
    waiting: int = 0
    waiting_capped: bool = False
    dispatched: int = 0
    running: int = 0
    scheduled: int = 0
    retrying: int = 0
    delayed_capped: bool = False
    oldest_queued_seconds: float | None = None
    wait_p95_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStatus(Model):
    """Is what a worker last said of itself, at `seen_at`: it runs `busy` jobs at once, and could run `slots`."""

    id: str
    name: str
    healthy: bool
    consuming: bool
    pid: int
    queues: tuple[str, ...] = ()
    slots: int = 0
    busy: int = 0
    started_at: datetime | None = None
    seen_at: datetime | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Broadcast(Model):
    """Is what an operator tells everybody who has a WebSocket open."""

    id: str
    message: str
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage(Model):
    """Is what a user has stored, uploads under way included, and what they may; None is no limit."""

    bytes: int
    files: int
    max_bytes: int | None = None
    max_files: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UserQuota(Model):
    """Is what was set for a user (None is the server's default, 0 no limit), and the `usage` that follows from it."""

    user_id: str
    usage: Usage
    max_bytes: int | None = None
    max_files: int | None = None
