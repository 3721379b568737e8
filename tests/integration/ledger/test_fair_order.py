"""The order in which waiting jobs are handed to Celery: fair between owners and lanes, within limits, late enough."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.job_kind import JobKind
from tests import factories
from tests.conftest import Owner
from worker import dispatching
from worker.fair_order import FairOrder
from worker.queue_line import QueueLine, Window

Database = psycopg.Connection[Any]


class Yard:
    """Enqueues jobs for owners and picks them again."""

    def __init__(self, database: Database, kinds: dict[str, JobKind], *owners: Owner) -> None:
        self.database = database
        self.kinds = dict(kinds)
        self.owners = owners
        self.holder = factories.take_lease(database)
        self.order = FairOrder("default", self.kinds.values())

    def limit(self, kind: str, **limits: int | None) -> None:
        self.kinds[kind] = replace(self.kinds[kind], **limits)
        self.order = FairOrder("default", self.kinds.values())

    def enqueue(self, owner: UUID, count: int = 1, kind: str = "test.echo", **options: Any) -> list[UUID]:
        return [
            factories.enqueue(self.database, factories.new_job(self.kinds[kind], owner, **options))
            for _ in range(count)
        ]

    def pick(self, places: int) -> list[UUID]:
        picked, _ = self.order.pick(self.database, self.holder, places)
        return [dispatch.job_id for dispatch in picked]

    def count_by(self, column: str, ids: list[UUID]) -> Counter[Any]:
        statement = f"SELECT {column} FROM jobs WHERE id = ANY(%s)"  # noqa: S608 - a test's own
        return Counter(row[0] for row in self.database.execute(statement.encode(), (ids,)))

    def finish(self, ids: list[UUID]) -> None:
        self.database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = ANY(%s)", (ids,))


@pytest.fixture
def yard(database: Database, kinds: dict[str, JobKind], owner: Owner, stranger: Owner) -> Yard:
    return Yard(database, kinds, owner, stranger)


def test_owners_take_turns_however_many_jobs_one_has(yard: Yard, owner: Owner, stranger: Owner) -> None:
    many = yard.enqueue(owner.id, 50)
    one = yard.enqueue(stranger.id)
    few = yard.pick(4)
    assert set(one) < set(few)
    assert [job_id for job_id in few if job_id not in one] == many[:2]


def test_the_turn_goes_on_where_it_ended(yard: Yard, owner: Owner, stranger: Owner) -> None:
    yard.enqueue(owner.id, 6)
    yard.enqueue(stranger.id, 6)
    picked = [yard.pick(1) for _ in range(6)]
    owners = [next(iter(yard.count_by("owner_id", ids))) for ids in picked]
    assert all(before != after for before, after in pairwise(owners))


def test_an_owners_lanes_take_turns(yard: Yard, owner: Owner) -> None:
    yard.enqueue(owner.id, 20)
    yard.enqueue(owner.id, 3, kind="test.async_echo")
    yard.enqueue(owner.id, 3, kind="test.echo", concurrency_key="a")
    yard.limit("test.echo", concurrency_per_key=5)
    assert yard.count_by("kind || concurrency_key", yard.pick(6)) == {
        "test.echo": 2, "test.async_echo": 2, "test.echoa": 2,
    }  # fmt: skip


def test_lanes_beyond_an_owners_share_get_their_turn(yard: Yard, owner: Owner, stranger: Owner) -> None:
    keys = [f"key-{number}" for number in range(5)]
    for key in keys:
        yard.enqueue(owner.id, 9, concurrency_key=key)
    yard.enqueue(stranger.id, 9)
    yard.limit("test.echo", concurrency_per_key=9)
    seen: Counter[Any] = Counter()
    for _ in range(5):
        seen += yard.count_by("concurrency_key", yard.pick(2))
    assert seen == {"": 5} | dict.fromkeys(keys, 1)


def test_within_a_lane_priority_goes_before_age(yard: Yard, owner: Owner) -> None:
    [old] = yard.enqueue(owner.id)
    [late] = yard.enqueue(owner.id, priority=-5)
    [urgent] = yard.enqueue(owner.id, priority=5)
    assert yard.pick(3) == [urgent, old, late]


def test_a_kinds_limit_counts_what_is_dispatched_and_running_of_all_owners(
    yard: Yard, owner: Owner, stranger: Owner
) -> None:
    yard.limit("test.echo", concurrency=3)
    yard.enqueue(owner.id, 5)
    yard.enqueue(stranger.id, 5)
    first = yard.pick(10)
    assert len(first) == 3
    yard.database.execute("UPDATE jobs SET state = 'running' WHERE id = %s", (first[0],))
    assert yard.pick(10) == []
    yard.finish(first[:2])
    assert len(yard.pick(10)) == 2


def test_a_keys_limit_is_an_owners_own(yard: Yard, owner: Owner, stranger: Owner) -> None:
    yard.enqueue(owner.id, 4, concurrency_key="customer-7")
    yard.enqueue(stranger.id, 4, concurrency_key="customer-7")
    first = yard.pick(10)
    assert yard.count_by("owner_id", first) == {owner.id: 1, stranger.id: 1}
    assert yard.pick(10) == []
    yard.finish(first)
    assert len(yard.pick(10)) == 2


def test_full_lanes_are_stepped_over(yard: Yard, owner: Owner) -> None:
    for number in range(30):
        yard.enqueue(owner.id, 2, concurrency_key=f"key-{number:02}")
    assert len(yard.pick(29)) == 29
    # All but one are full now, and they come first.
    assert len(yard.pick(1)) == 1
    assert yard.pick(1) == []
    [free] = yard.enqueue(owner.id, concurrency_key="last")
    assert yard.pick(1) == [free]


def test_a_full_kind_is_left_with_all_its_keys(yard: Yard, owner: Owner) -> None:
    yard.limit("test.async_echo", concurrency=1)
    for number in range(30):
        yard.enqueue(owner.id, kind="test.async_echo", concurrency_key=f"key-{number:02}")
    assert len(yard.pick(5)) == 1
    [free] = yard.enqueue(owner.id)
    assert yard.pick(1) == [free]


def test_owners_whose_lanes_are_full_do_not_hide_others(yard: Yard, owner: Owner, stranger: Owner) -> None:
    yard.limit("test.echo", concurrency=1)
    yard.enqueue(min(owner.id, stranger.id), 3)
    assert len(yard.pick(1)) == 1
    [free] = yard.enqueue(max(owner.id, stranger.id), kind="test.async_echo")
    line = QueueLine("default", yard.kinds.values(), least=1, most=1)
    assert [dispatch.job_id for dispatch in line.fill(yard.database, yard.holder, 0)] == [free]


def test_a_kind_that_nobody_knows_waits(yard: Yard, owner: Owner) -> None:
    ids = yard.enqueue(owner.id, 2)
    yard.database.execute("UPDATE jobs SET kind = 'gone.kind' WHERE id = %s", (ids[0],))
    assert yard.pick(5) == ids[1:]


def test_only_the_holder_of_the_lease_marks_jobs(yard: Yard, owner: Owner) -> None:
    yard.enqueue(owner.id)
    assert yard.order.pick(yard.database, uuid4(), 5)[0] == []
    yard.database.execute("UPDATE dispatcher_lease SET expires_at = now() - interval '1 second'")
    assert yard.pick(5) == []


def test_an_urgent_job_takes_the_place_of_its_owners_least_urgent(yard: Yard, owner: Owner, stranger: Owner) -> None:
    yard.enqueue(stranger.id, 2)
    mine = yard.enqueue(owner.id, 2)
    line = QueueLine("default", yard.kinds.values(), least=4, most=4)
    assert len(line.fill(yard.database, yard.holder, 0)) == 4
    [urgent] = yard.enqueue(owner.id, priority=5)
    yard.enqueue(owner.id)
    [hurried] = line.fill(yard.database, yard.holder, 4)
    assert (hurried.job_id, hurried.urgent) == (urgent, True)
    out = yard.database.execute("SELECT id FROM jobs WHERE dispatched_at IS NOT NULL AND owner_id = %s", (owner.id,))
    assert {row[0] for row in out} == {urgent, mine[0]}
    assert line.fill(yard.database, yard.holder, 4) == []


def test_a_line_that_does_not_move_is_not_filled_with_urgent_jobs(yard: Yard, owner: Owner) -> None:
    yard.enqueue(owner.id, 2)
    line = QueueLine("default", yard.kinds.values(), least=2, most=2)
    line.fill(yard.database, yard.holder, 0)
    hurried = 0
    for priority in range(1, 10):
        yard.enqueue(owner.id, priority=priority)
        hurried += len(line.fill(yard.database, yard.holder, 2))
    assert hurried == 2


def test_a_paused_queue_is_not_ready_and_gives_back_what_it_has_out(yard: Yard, owner: Owner) -> None:
    yard.enqueue(owner.id, 3)
    assert dispatching.look(yard.database, ["default", "mail"]).ready == {"default": 0}
    yard.pick(2)
    assert dispatching.look(yard.database, ["default", "mail"]).ready == {"default": 2}
    yard.database.execute("INSERT INTO queues (name, paused_at) VALUES ('default', now())")
    view = dispatching.look(yard.database, ["default", "mail"])
    assert (view.ready, view.paused_out) == ({}, True)
    assert dispatching.take_back_paused(yard.database) == 2
    assert dispatching.look(yard.database, ["default", "mail"]).paused_out is False


def test_a_window_is_shallow_until_jobs_go_fast() -> None:
    window = Window(least=4, most=16)
    sizes: list[int] = []
    for _ in range(4):
        places = window.places(0)
        window.note(places, places)
        sizes.append(places)
    assert sizes == [4, 8, 16, 16]
    assert [window.places(waiting) for waiting in (16, 9, 8)] == [0, 0, 8]


def test_what_was_taken_back_unsent_does_not_widen_the_window(yard: Yard, owner: Owner) -> None:
    yard.enqueue(owner.id, 9)
    line = QueueLine("default", yard.kinds.values(), least=4, most=16)
    assert len(line.fill(yard.database, yard.holder, 0)) == 4
    line.note_undone()
    assert len(line.fill(yard.database, yard.holder, 0)) == 4


def test_a_window_that_does_not_drain_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("worker.queue_line.time.monotonic", lambda: now)
    window = Window(least=4, most=16)
    for _ in range(3):
        places = window.places(0)
        window.note(places, places)
    for expected in (16, 8, 4, 4):
        assert window.size == expected
        now += 1.5
        assert window.places(16) == 0
