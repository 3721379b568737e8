"""Rows of waiting no-ops, written in one statement: what a client would have taken minutes to submit."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.ids import new_id
from shared.job_queue import NUDGE

KIND = "bench.noop"
QUEUE = "default"

_ADD_OWNERS = """
INSERT INTO users (id, email, password_hash) SELECT id, id || '@example.com', '!' FROM unnest(%s::uuid[]) AS owner (id)
"""
# One microsecond apart, so that age is an order.
_FILL = """
INSERT INTO jobs (id, owner_id, kind, queue, state, input, run_at, max_attempts)
SELECT uuidv7(), (%(owners)s::uuid[])[1 + number %% cardinality(%(owners)s::uuid[])], %(kind)s, %(queue)s, 'queued',
       jsonb_build_object('bell', CASE WHEN number IN (0, %(count)s - 1) THEN %(bell)s ELSE '' END),
       now() - interval '1 hour' + number * interval '1 microsecond', 3
FROM generate_series(0, %(count)s - 1) AS number
"""


def add_owners(connection: Connection[Any], count: int) -> list[UUID]:
    """Add accounts that cannot sign in."""
    owners = [new_id() for _ in range(count)]
    connection.execute(_ADD_OWNERS, (owners,))
    return owners


def fill_ledger(connection: Connection[Any], owners: Sequence[UUID], count: int, bell: str = "") -> None:
    """Add waiting no-ops of these owners by turns; the first and the last ring. Wakes nobody."""
    arguments = {"owners": list(owners), "count": count, "bell": bell, "kind": KIND, "queue": QUEUE}
    connection.execute(_FILL, arguments)


def wake_dispatcher(connection: Connection[Any]) -> None:
    """Do what follows a commit of new jobs."""
    connection.execute(NUDGE)
