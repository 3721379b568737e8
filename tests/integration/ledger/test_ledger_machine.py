"""Random interleavings of everything that writes to the ledger, on a real PostgreSQL, against a model."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shared.errors import IllegalTransition
from shared.job_kind import JobKind
from shared.job_queue import cancel_job, delete_job, enqueue_in_worker, read_job
from shared.job_retry import RETRYABLE, retried
from shared.job_state import TERMINAL, JobState
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.integration.ledger import ledger_model
from tests.integration.ledger.ledger_model import Row
from tests.integration.ledger.ledger_moves import (
    FAR_SECONDS,
    MOVES,
    PASSES,
    SEEN_FOR_SURE,
    SWEEPS,
    WANTED,
    Bench,
    Wanted,
    apt,
)
from worker import dispatching, ledger
from worker.ledger import Claim, EndedHow
from worker.rescue import rescue

ERROR = {"code": "handler_error", "detail": "The handler failed.", "retryable": True}

SETTINGS = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    # Not Phase.shrink, which takes longer than a test may: add it, and a longer time limit, to look into a failure.
    phases=[Phase.generate],
    # Every step is several round trips to a PostgreSQL that other tests may keep busy: slow is not wrong here.
    suppress_health_check=[HealthCheck.too_slow],
)


class LedgerMachine(RuleBasedStateMachine):
    """Keeps a copy of all rows; each rule says which jobs it may change, and to which state."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.database = self.bench.database
        self.rows: dict[UUID, Row] = {}
        self.claims: dict[UUID, list[Claim]] = {}
        self.put_backs: dict[UUID, int] = {}
        self.expected: dict[UUID, str] = {}
        self.database.execute("DELETE FROM jobs")

    def saw(self, what: str) -> None:
        self.bench.seen[what] += 1

    def state(self, job_id: UUID) -> JobState | None:
        row = self.rows.get(job_id)
        return None if row is None else JobState(row["state"])

    def expect_all(self, ids: list[UUID], before: set[JobState], column: str, state: str) -> None:
        """Expect that exactly the jobs in some states whose time has come have gone to another state."""
        now = datetime.now(UTC)
        due = {job_id for job_id, row in self.rows.items() if row["state"] in before and (row[column] or now) < now}
        assert set(ids) == due
        self.expected = dict.fromkeys(due, state)

    # One rule, because hypothesis leaves some rules out of each example, and a job's way needs most moves.
    @rule(
        move=st.sampled_from(MOVES), wanted=WANTED, fits=st.sampled_from([True, True, False]), nth=st.integers(0, 5),
        age=st.sampled_from([0, 0, 0, 1, 2]), delay=st.sampled_from([0, FAR_SECONDS]),
    )  # fmt: skip
    def move(self, move: str, wanted: Wanted, fits: bool, nth: int, age: int, delay: int) -> None:  # noqa: FBT001 - Hypothesis names it
        """Do something, mostly with a job in an apt state; `age` 0 is its newest message or claim."""
        jobs = [job_id for job_id in self.put_backs if not fits or self.state(job_id) in apt(move)]
        if move in {"dispatch", "promote", "expire", "rescue", "send_again"}:
            getattr(self, move)()
        elif move == "enqueue":
            self.enqueue(wanted)
        elif not jobs:
            self.dispatch()
        else:
            self.move_job(jobs[nth % len(jobs)], move, age, delay)

    def move_job(self, job_id: UUID, move: str, age: int, delay: int) -> None:
        if move in {"cancel", "retry", "delete"}:
            getattr(self, move)(job_id)
        elif move in PASSES:
            if self.database.execute(PASSES[move], (job_id,)).rowcount:
                self.expected = {job_id: self.rows[job_id]["state"]}
            # Often the dispatcher sees to it before anything else happens.
            if age == 0 and move in SWEEPS:
                self.the_ledger_is_right()
                getattr(self, SWEEPS[move])()
        elif move == "claim":
            self.claim(job_id, age)
        elif claims := self.claims.get(job_id):
            held = claims[max(-1 - age, -len(claims))]
            if move in {"beat", "succeed"}:
                getattr(self, move)(held)
            else:
                self.end(held, cast("EndedHow", move), delay)

    # What the API does.

    def enqueue(self, wanted: Wanted) -> None:
        key = wanted.unique_key
        run_at = datetime.now(UTC) + timedelta(seconds=wanted.delay) if wanted.delay else None
        new = factories.new_job(
            self.bench.kind, self.bench.owner_id, unique_key=key, run_at=run_at, ttl_seconds=wanted.ttl,
            max_attempts=wanted.max_attempts,
        )  # fmt: skip
        live = [row for row in self.rows.values() if key and row["unique_key"] == key and row["state"] not in TERMINAL]
        made = enqueue_in_worker(self.database, new)
        assert made == (not live)
        if not made:
            self.saw("same key")
            return
        self.database.execute("UPDATE jobs SET put_backs = %s WHERE id = %s", (wanted.put_backs, new.id))
        self.put_backs[new.id] = wanted.put_backs
        self.expected = {new.id: "scheduled" if wanted.delay else "queued"}

    def cancel(self, job_id: UUID) -> None:
        row, state = self.rows.get(job_id), self.state(job_id)
        changed = self.bench.call(cancel_job(self.bench.api, self.bench.owner_id, job_id))
        can_be = row is not None and state not in TERMINAL and not row["cancel_requested"]
        assert (changed is not None) == can_be
        if changed is not None:
            self.expected = {job_id: "running" if state == "running" else "cancelled"}
            self.saw(f"cancel: {changed.state}")

    def retry(self, job_id: UUID) -> None:
        old = self.bench.call(read_job(self.bench.api, self.bench.owner_id, job_id))
        assert (old is not None) == (job_id in self.rows)
        if old is None:
            return
        try:
            new = retried(old, self.bench.kind, Settings.model_validate({}))
        except IllegalTransition:
            assert self.state(job_id) not in RETRYABLE
            self.saw("no retry")
            return
        assert self.state(job_id) in RETRYABLE
        assert enqueue_in_worker(self.database, new)
        self.put_backs[new.id] = 0
        self.expected = {new.id: "queued"}
        self.saw("retry")

    def delete(self, job_id: UUID) -> None:
        deleted = self.bench.call(delete_job(self.bench.api, self.bench.owner_id, job_id))
        assert deleted == (self.state(job_id) in TERMINAL)
        if deleted:
            # What was retried from it no longer says so; nothing else of it changes.
            del self.rows[job_id]
            for other, row in self.rows.items():
                self.rows[other] = {**row, "retried_from": None} if row["retried_from"] == job_id else row
        self.saw("delete" if deleted else "no delete")

    # What the dispatcher does.

    def promote(self) -> None:
        changes = dispatching.promote(self.database)
        self.expect_all([change.id for change in changes], {JobState.SCHEDULED, JobState.RETRYING}, "run_at", "queued")
        self.bench.seen["promote"] += len(changes)

    def dispatch(self) -> None:
        """Dispatch, and have one message taken at once: random choice would seldom do so in time."""
        marked = factories.dispatch(self.database, self.bench.kind.queue)
        now = datetime.now(UTC)
        for job_id, row in self.rows.items():
            promoted = row["state"] in {"scheduled", "retrying"} and row["run_at"] < now
            assert (job_id in marked) == (promoted or (row["state"] == "queued" and row["dispatched_at"] is None))
        assert marked == {job_id: self.rows[job_id]["dispatch_seq"] + 1 for job_id in marked}
        self.expected = dict.fromkeys(marked, "queued")
        self.the_ledger_is_right()
        # The oldest, and not the first of a set: an example must do the same when it is run again.
        for job_id in [job_id for job_id in self.put_backs if job_id in marked][:1]:
            self.claim(job_id, 0)

    def send_again(self) -> None:
        count = dispatching.send_again(self.database, self.bench.kind.queue, -1)
        out = [job_id for job_id, row in self.rows.items() if row["state"] == "queued" and row["dispatched_at"]]
        assert count == len(out)
        self.expected = dict.fromkeys(out, "queued")
        self.bench.seen["sent again"] += count

    def expire(self) -> None:
        changes = dispatching.expire(self.database)
        unstarted = {job_id for job_id, row in self.rows.items() if row["started_at"] is None}
        ids = [change.id for change in changes]
        assert unstarted.issuperset(ids)
        self.expect_all(ids, {JobState.SCHEDULED, JobState.QUEUED}, "ttl_at", "expired")
        self.bench.seen["expire"] += len(ids)

    def rescue(self) -> None:
        ids = [row.id for row in rescue(self.database, lease_seconds=0.001)]
        now = datetime.now(UTC)
        lapsed = [row for row in self.rows.values() if row["state"] == "running" and row["lease_expires_at"] < now]
        assert set(ids) == {row["id"] for row in lapsed}
        self.expected = {row["id"]: ledger_model.state_after_rescue(row) for row in lapsed}
        self.bench.seen["rescue"] += len(lapsed)

    # What workers do.

    def claim(self, job_id: UUID, age: int) -> None:
        """Take a job's newest message, which may have been taken before, or an older one."""
        row = self.rows.get(job_id)
        sequence = 1 if row is None else row["dispatch_seq"] - age
        held = ledger.claim(
            self.database, job_id=job_id, dispatch_seq=sequence, claim_id=uuid4(), worker="test",
            lease_seconds=FAR_SECONDS, timeout_seconds=FAR_SECONDS,
        )  # fmt: skip
        claimable = row is not None and ledger_model.is_claimable(row, sequence, datetime.now(UTC))
        assert (held is not None) == claimable
        self.saw("claim refused" if held is None else "claim made")
        if held is not None:
            self.claims.setdefault(job_id, []).append(held)
            self.expected = {job_id: "running"}

    def written(self, held: Claim, answer: object) -> Row | None:
        """Check that only a good claim can write; gives its row."""
        row = self.rows.get(held.job_id)
        good = row is not None and (row["state"], row["fence"]) == ("running", held.fence)
        assert (answer is not None) == good
        if not good:
            self.saw("late write")
        return row if good else None

    def beat(self, held: Claim) -> None:
        pulse = ledger.heartbeat(self.database, held, FAR_SECONDS, ledger.Progress(1, 2, "half"))
        if (row := self.written(held, pulse)) is not None and pulse is not None:
            assert pulse.cancel_requested == row["cancel_requested"]
            assert pulse.past_deadline == (row["deadline_at"] < datetime.now(UTC))
            self.expected = {} if pulse.past_deadline else {held.job_id: "running"}

    def succeed(self, held: Claim) -> None:
        ending = ledger.succeed(self.database, held, {"text": "made"}, None)
        if (row := self.written(held, ending)) is not None:
            self.saw("success against a cancel" if row["cancel_requested"] else "success")
            self.expected = {held.job_id: "succeeded"}

    def end(self, held: Claim, how: EndedHow, delay: int) -> None:
        ending = ledger.end(self.database, held, how, ERROR, delay)
        if (row := self.written(held, ending)) is not None and ending is not None:
            self.expected = {held.job_id: ledger_model.state_after(row, how)}
            self.saw(f"end {how}: {ending.state}")

    @invariant()
    def the_ledger_is_right(self) -> None:
        rows: dict[UUID, Row] = {row["id"]: row for row in self.bench.read("SELECT * FROM jobs")}
        attempts: dict[UUID, list[Row]] = {job_id: [] for job_id in rows}
        for attempt in self.bench.read("SELECT * FROM job_attempts ORDER BY job_id, fence"):
            attempts[attempt["job_id"]].append(attempt)
        expected, self.expected = self.expected, {}
        assert rows.keys() == self.rows.keys() | expected.keys()
        for job_id, row in rows.items():
            before = self.rows.get(job_id)
            if job_id in expected:
                assert row["state"] == expected[job_id]
            else:
                assert row == before, "a job changed that had no part in this"
            if before is not None:
                ledger_model.check_change(before, row)
            ledger_model.check_job(row, attempts[job_id], self.put_backs[job_id])
        ledger_model.check_unique_keys([*rows.values()])
        self.rows = rows


@pytest.fixture
def bench(
    database: psycopg.Connection[Any], database_url: str, kinds: dict[str, JobKind], owner: Owner
) -> Iterator[Bench]:
    with asyncio.Runner() as loop:
        api = loop.run(psycopg.AsyncConnection.connect(database_url, autocommit=True))
        try:
            yield Bench(database, api, loop, kinds["test.echo"], owner.id)
        finally:
            loop.run(api.close())


def test_no_interleaving_breaks_the_ledger(bench: Bench) -> None:
    LedgerMachine.bench = bench
    run_state_machine_as_test(LedgerMachine, settings=SETTINGS)
    assert {what for what, count in bench.seen.items() if count} >= SEEN_FOR_SURE
