"""The states of a job and the legal ways between them: one table, kept by a trigger in the database as well.

scheduled ──► queued ──► running ──► succeeded | failed | cancelled
    │            │  ▲        │
    │            │  └────────┤ put back (stop) or rescued
    │            │           ▼
    ▼            ▼        retrying ──► queued
  expired | cancelled        └───────► cancelled
"""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_S = JobState

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.SCHEDULED: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    _S.QUEUED: frozenset({_S.RUNNING, _S.CANCELLED, _S.EXPIRED}),
    _S.RUNNING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.RETRYING, _S.QUEUED}),
    _S.RETRYING: frozenset({_S.QUEUED, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.EXPIRED: frozenset(),
}

TERMINAL: frozenset[JobState] = frozenset(state for state, following in TRANSITIONS.items() if not following)
WAITING: frozenset[JobState] = frozenset({_S.SCHEDULED, _S.QUEUED, _S.RETRYING})


def is_legal(before: JobState, after: JobState) -> bool:
    """Tell whether a job may go from `before` to `after`; staying put is legal until the job is terminal."""
    return after in TRANSITIONS[before] or (before == after and before not in TERMINAL)
