"""What the dispatcher's statements read: as many rows as they need, however many wait. `make bench` has the times."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.database import connect
from shared.job_kind import QUEUES, load_job_kinds
from shared.settings import Settings
from tests.bench.ledger_rows import QUEUE, add_owners, fill_ledger
from tests.bench.ledger_scale import JOB_MODULES
from tests.bench.plans import PlanCatcher
from worker import dispatching
from worker.dispatcher import INDEX_WALKS
from worker.fair_order import FairOrder

PLACES = 64
# A prepared statement gets its lasting plan at the sixth execution.
EXECUTIONS = 7
# Of each owner on the way and each job picked: some steps of the walk, the row itself, its update.
MOST_ROWS = 12 * PLACES

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    """Open a connection as the dispatcher does."""
    with connect(settings, "test", **INDEX_WALKS) as connection:
        yield connection


@pytest.fixture
def holder(connection: Connection) -> UUID:
    """Take the dispatcher's lease."""
    holder = uuid4()
    assert dispatching.hold_lease(connection, holder, 600)
    return holder


@pytest.mark.parametrize("analyzed", [True, False], ids=["analyzed", "stale statistics"])
@pytest.mark.parametrize("owners", [1, 50])
@pytest.mark.parametrize("rows", [1_000, 10_000])
def test_what_a_round_reads_does_not_grow_with_what_waits(
    connection: Connection, holder: UUID, rows: int, owners: int, *, analyzed: bool
) -> None:
    fill_ledger(connection, add_owners(connection, owners), rows)
    connection.execute("ANALYZE jobs" if analyzed else "SELECT")
    order = FairOrder(QUEUE, load_job_kinds(JOB_MODULES).values())
    statements: list[Callable[[], object]] = [
        lambda: dispatching.look(connection, QUEUES),
        lambda: order.pick(connection, holder, PLACES),
        lambda: order.hurry(connection, holder),
        lambda: dispatching.promote(connection),
        lambda: dispatching.expire(connection),
        lambda: dispatching.take_back_paused(connection),
        lambda: dispatching.count_overdue(connection, QUEUE, 5),
    ]
    catcher = PlanCatcher(connection)

    for statement in statements:
        for _ in range(EXECUTIONS):
            with connection.transaction(force_rollback=True):
                statement()

    assert len(catcher.plans) == len(statements) * EXECUTIONS
    for plan in catcher.plans:
        shown = "\n".join([plan.statement, *plan.describe()])
        assert "Seq Scan" not in plan.scans("jobs"), shown
        assert plan.rows_touched("jobs") <= MOST_ROWS, shown
        sorted_rows = [node["Actual Rows"] for node in plan.nodes() if "Sort" in node["Node Type"]]
        assert max(sorted_rows, default=0) <= MOST_ROWS, shown


def test_the_catcher_sees_what_was_read(connection: Connection) -> None:
    fill_ledger(connection, add_owners(connection, 1), 2_000)
    catcher = PlanCatcher(connection)

    connection.execute("SELECT id FROM jobs WHERE put_backs = 0 ORDER BY version")

    (plan,) = catcher.plans
    assert plan.scans("jobs") == {"Seq Scan"}
    assert plan.rows_touched("jobs") == 2_000
    assert [node["Actual Rows"] for node in plan.nodes() if node["Node Type"] == "Sort"] == [2_000]
