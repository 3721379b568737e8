"""What random interleavings are made of: the sessions they use, and what may be done next."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, LiteralString, NamedTuple, TypeVar
from uuid import UUID

import psycopg
from hypothesis import strategies as st
from psycopg.rows import dict_row

from shared.job_kind import JobKind
from shared.job_retry import RETRYABLE
from shared.job_state import TERMINAL, TRANSITIONS, JobState
from tests.integration.ledger.ledger_model import Row

_T = TypeVar("_T")

FAR_SECONDS = 3600

# A time that passes, of jobs for which it means something.
PASSES: dict[str, LiteralString] = {
    "run_at": "UPDATE jobs SET run_at = now() - interval '1 s' WHERE id = %s AND state IN ('scheduled', 'retrying')",
    "ttl_at": "UPDATE jobs SET ttl_at = now() - interval '1 s' WHERE id = %s AND ttl_at > now() AND started_at IS NULL"
              " AND state IN ('scheduled', 'queued')",
    "lease_expires_at": "UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE id = %s AND state = 'running'",
    "deadline_at": "UPDATE jobs SET deadline_at = now() - interval '1 s' WHERE id = %s AND state = 'running'",
}  # fmt: skip
SWEEPS = {"run_at": "promote", "ttl_at": "expire", "lease_expires_at": "rescue"}
MOVES = [
    *["enqueue"] * 5, "dispatch", "promote", "promote", "expire", *["rescue", "cancel"] * 2, "send_again", "retry",
    "delete", "claim", *["beat", "succeed", "errored", "failed", "cancelled", "snoozed", "put_back"] * 2, "put_back",
    *PASSES, "run_at", "lease_expires_at",
]  # fmt: skip


SEEN_FOR_SURE = {
    "claim made", "claim refused", "late write", "success", "cancel: cancelled",
    "cancel: running", "rescue", "end errored: retrying", "end put_back: queued", "end snoozed: retrying",
    "end failed: failed", "end cancelled: cancelled", "expire", "sent again", "same key", "retry",
    "no retry", "delete", "no delete",
}  # fmt: skip
"""Else the test has become one that cannot fail."""
_APT = {
    "cancel": TRANSITIONS.keys() - TERMINAL,
    "retry": RETRYABLE,
    "delete": TERMINAL,
    "claim": {JobState.QUEUED},
    "run_at": {JobState.SCHEDULED, JobState.RETRYING},
    "ttl_at": {JobState.SCHEDULED, JobState.QUEUED},
}


def apt(move: str) -> frozenset[JobState]:
    """Tell for which states a move is meant; the others are what a worker does."""
    return frozenset(_APT.get(move, {JobState.RUNNING}))


class Wanted(NamedTuple):
    """Is a job to be enqueued; `put_backs` is how often it shall have been put back already."""

    unique_key: str | None
    delay: int
    ttl: int | None
    max_attempts: int
    put_backs: int


WANTED = st.builds(
    Wanted,
    unique_key=st.sampled_from([None, None, "a"]),
    delay=st.sampled_from([0, 0, FAR_SECONDS]),
    ttl=st.sampled_from([None, FAR_SECONDS]),
    max_attempts=st.integers(1, 3),
    put_backs=st.sampled_from([0, 4, 5]),
)


@dataclass
class Bench:
    """Is what all examples share: the sessions of a worker and of the API, an owner, and what has been seen."""

    database: psycopg.Connection[Any]
    api: psycopg.AsyncConnection[Any]
    loop: asyncio.Runner
    kind: JobKind
    owner_id: UUID
    seen: Counter[str] = field(default_factory=Counter[str])

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Do what the API does."""
        return self.loop.run(coroutine)

    def read(self, query: LiteralString) -> list[Row]:
        with self.database.cursor(row_factory=dict_row) as cursor:
            return [*cursor.execute(query).fetchall()]
