"""What must hold of jobs and their attempts whatever happened, and where each move of the ledger must lead."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.job_state import TERMINAL, WAITING, JobState, is_legal
from worker.ledger import EndedHow

Row = Mapping[str, Any]
"""Is a row of `jobs` or `job_attempts`, with all its columns."""

MOST_PUT_BACKS = 5
_HAS_ERROR = TERMINAL - {JobState.SUCCEEDED}
_NEVER_FALLS = ("fence", "version", "dispatch_seq", "put_backs")


def state_after(row: Row, how: EndedHow) -> str:
    """Tell where an attempt that ends otherwise than well leaves its job."""
    if how == "failed":
        return "failed"
    if how == "cancelled" or row["cancel_requested"]:
        return "cancelled"
    if how == "snoozed":
        return "retrying"
    if how == "put_back" and row["put_backs"] < MOST_PUT_BACKS:
        return "queued"
    if row["attempt"] == row["max_attempts"]:
        return "failed"
    return "retrying" if how == "errored" else "queued"


def state_after_rescue(row: Row) -> str:
    """Tell where the rescue leaves a job."""
    if row["cancel_requested"]:
        return "cancelled"
    return "failed" if row["attempt"] == row["max_attempts"] else "queued"


def is_claimable(row: Row, dispatch_seq: int, now: datetime) -> bool:
    """Tell whether a message is as good as its word."""
    handed_over = row["state"] == "queued" and row["dispatched_at"] is not None and row["dispatch_seq"] == dispatch_seq
    in_time = row["started_at"] is not None or row["ttl_at"] is None or row["ttl_at"] > now
    return handed_over and in_time and not row["cancel_requested"]


def check_change(before: Row, after: Row) -> None:
    """Check one step of a job's life."""
    old, new = JobState(before["state"]), JobState(after["state"])
    assert old == new or is_legal(old, new), f"{old} -> {new}"
    assert old not in TERMINAL or before == after, "a terminal job changed"
    for column in _NEVER_FALLS:
        assert after[column] >= before[column], f"{column} fell"
    assert after["attempt"] >= before["attempt"] - 1
    assert old == new or after["version"] > before["version"], "the change of state has no version"


def check_job(row: Row, attempts: Sequence[Row], put_backs_at_first: int) -> None:
    """Check a job and its history."""
    state = JobState(row["state"])
    assert (row["result"] is not None) == (state == JobState.SUCCEEDED)
    assert (row["error"] is not None) == (state in _HAS_ERROR)
    assert (row["finished_at"] is not None) == (state in TERMINAL)
    assert (row["lease_expires_at"] is not None) == (state == JobState.RUNNING)
    assert not (row["cancel_requested"] and state in WAITING), "a cancelled job waits"
    assert 0 <= row["attempt"] <= row["max_attempts"]

    assert [attempt["fence"] for attempt in attempts] == list(range(1, row["fence"] + 1))
    still_open = [attempt["fence"] for attempt in attempts if attempt["ended_at"] is None]
    assert still_open == ([row["fence"]] if state == JobState.RUNNING else [])
    assert all((attempt["ended_at"] is None) == (attempt["outcome"] is None) for attempt in attempts)
    outcomes = Counter(attempt["outcome"] for attempt in attempts)
    assert outcomes["succeeded"] == int(state == JobState.SUCCEEDED)
    if state != JobState.CANCELLED:
        # What was cancelled while it was put off or put back does not say so any more.
        free = outcomes["snoozed"] + min(outcomes["put_back"], MOST_PUT_BACKS - put_backs_at_first)
        assert row["attempt"] == row["fence"] - free, "an attempt was not counted, or counted twice"


def check_unique_keys(rows: Sequence[Row]) -> None:
    """Check that no key has two live jobs."""
    keys = Counter(row["unique_key"] for row in rows if JobState(row["state"]) not in TERMINAL)
    del keys[None]
    assert all(count == 1 for count in keys.values()), keys
