"""What the dispatcher's statements cost while 1,000, 100,000 and 1,000,000 jobs wait: `python -m tests.bench scale`.

The statements are those of `worker/`, called as the dispatcher calls them, on a connection with its settings; each is
rolled back, so that every repetition meets the same rows. Times are medians, seen from the client. The plans are the
ones that were used (auto_explain), after PostgreSQL has settled on one for the prepared statement.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from psycopg import Connection

from shared.database import connect
from shared.job_kind import QUEUES, load_job_kinds
from shared.settings import Settings
from tests.bench.ledger_rows import QUEUE, add_owners, fill_ledger
from tests.bench.plans import Plan, PlanCatcher
from worker import dispatching
from worker.dispatcher import INDEX_WALKS
from worker.fair_order import FairOrder

PLACES = 64
JOB_MODULES = ["worker.jobs", "tests.bench.kinds"]
_REPETITIONS = 11
_LEASE_SECONDS = 600.0


@dataclass(frozen=True)
class Cost:
    """Is what a statement cost with so many rows of so many owners waiting."""

    statement: str
    rows: int
    owners: int
    milliseconds: float
    buffers: int
    plan: Plan


def measure_scale(settings: Settings, rows: int, owners: int) -> list[Cost]:
    """Fill an empty ledger and measure each statement."""
    with connect(settings, "bench", **INDEX_WALKS) as connection:
        connection.execute("TRUNCATE jobs, users CASCADE")
        fill_ledger(connection, add_owners(connection, owners), rows)
        connection.execute("VACUUM (ANALYZE) jobs")
        holder = uuid4()
        dispatching.give_up_lease(connection, holder)
        connection.execute("UPDATE dispatcher_lease SET expires_at = clock_timestamp() - interval '1 s'")
        if not dispatching.hold_lease(connection, holder, _LEASE_SECONDS):
            raise RuntimeError("another dispatcher works on this ledger")
        order = FairOrder(QUEUE, load_job_kinds(JOB_MODULES).values())
        statements: dict[str, Callable[[], object]] = {
            "look": lambda: dispatching.look(connection, QUEUES),
            f"pick {PLACES}": lambda: order.pick(connection, holder, PLACES),
            "hurry": lambda: order.hurry(connection, holder),
            "promote": lambda: dispatching.promote(connection),
            "expire": lambda: dispatching.expire(connection),
        }
        times = {name: _time(connection, statement) for name, statement in statements.items()}
        # Only now: explaining slows down what it explains.
        catcher = PlanCatcher(connection)
        plans = {name: _explain(connection, catcher, statement) for name, statement in statements.items()}
    return [Cost(name, rows, owners, times[name], plan.buffers, plan) for name, plan in plans.items()]


def _time(connection: Connection[Any], statement: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(_REPETITIONS):
        with connection.transaction(force_rollback=True):
            began = time.perf_counter()
            statement()
            times.append((time.perf_counter() - began) * 1000)
    return median(times)


def _explain(connection: Connection[Any], catcher: PlanCatcher, statement: Callable[[], object]) -> Plan:
    catcher.plans.clear()
    with connection.transaction(force_rollback=True):
        statement()
    return catcher.plans[-1]
