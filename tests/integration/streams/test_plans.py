"""What the statements of streams read: as many rows as concern who waits, however many jobs there are."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api import job_snapshots, ledger_look
from shared.settings import Settings
from tests.bench.ledger_rows import add_owners, fill_ledger
from tests.bench.plans import PlanCatcher

ROWS = 20_000
RECENT = 20
# A prepared statement gets its lasting plan at the sixth execution.
EXECUTIONS = 7
ADD = """
INSERT INTO jobs (id, owner_id, kind, queue, state, input, run_at, max_attempts)
SELECT uuidv7(), %s, 'test.echo', 'default', 'queued', '{}', now(), 1 FROM generate_series(1, %s) RETURNING id
"""


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owners(connection: psycopg.Connection[Any]) -> list[UUID]:
    """Make owners of whose jobs all are done."""
    owners = add_owners(connection, 3)
    fill_ledger(connection, owners, ROWS)
    connection.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    return owners


def require_few_rows(
    connection: psycopg.Connection[Any], *statements: tuple[str, Sequence[object] | dict[str, object]]
) -> None:
    """Execute statements as often as it takes to know that they read only what concerns who waits."""
    catcher = PlanCatcher(connection)
    for statement, values in statements:
        for _ in range(EXECUTIONS):
            connection.execute(statement.encode(), values)
    assert len(catcher.plans) == len(statements) * EXECUTIONS
    for plan in catcher.plans:
        shown = "\n".join([plan.statement, *plan.describe()])
        assert "Seq Scan" not in plan.scans("jobs"), shown
        assert 0 < round(plan.rows_touched("jobs")) <= RECENT, shown


@pytest.mark.parametrize("analyzed", [True, False], ids=["analyzed", "stale statistics"])
def test_a_look_reads_only_what_has_changed_or_is_waited_for(
    connection: psycopg.Connection[Any], owners: list[UUID], *, analyzed: bool
) -> None:
    connection.execute("ANALYZE jobs" if analyzed else "SELECT")
    (now,) = connection.execute(job_snapshots.FIRST_OPEN).fetchone() or (0,)
    recent = [row[0] for row in connection.execute(ADD, (owners[0], RECENT))]
    require_few_rows(
        connection,
        (ledger_look.CHANGED, (owners, [now] * len(owners))),
        (ledger_look.NEWER, (recent, [0] * RECENT)),
        (ledger_look.NEWER, (recent, [1] * RECENT)),
        (job_snapshots.READ, (recent, owners[0])),
    )


def test_an_owner_stream_begins_without_a_look_at_what_is_done(
    connection: psycopg.Connection[Any], owners: list[UUID]
) -> None:
    connection.execute("ANALYZE jobs")
    connection.execute(ADD, (owners[0], RECENT))
    live: dict[str, object] = {"kinds": [], "tags": [], "any_tag": [], "before": None, "before_id": None, "limit": 100}
    require_few_rows(connection, (job_snapshots.LIVE, live | {"owner_id": owners[0]}))
