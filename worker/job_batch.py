"""Writing many jobs down in one statement: those that are due at once and need nothing that could be refused."""

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from shared.job_queue import NewJob

_INSERT = """
INSERT INTO jobs
    (id, owner_id, kind, queue, state, priority, input, tags, run_at, max_attempts, concurrency_key, silent)
SELECT id, owner_id, kind, queue, 'queued', priority, input, '{}', now(), max_attempts, concurrency_key, silent
FROM jsonb_to_recordset(%s) AS given (
    id uuid, owner_id uuid, kind text, queue text, priority int, input jsonb, max_attempts int, concurrency_key text,
    silent boolean
)
ON CONFLICT (id) DO NOTHING
"""


def enqueue_batch(connection: Connection[Any], jobs: Sequence[NewJob]) -> None:
    """Write jobs down in the caller's transaction, but those that stand there already.

    Raises `ValueError` for what only `enqueue_in_worker` can do.
    """
    if any(new.file_ids or new.tags or new.unique_key or new.run_at or new.ttl_seconds for new in jobs):
        raise ValueError("a batch is of jobs that are due at once, without files, tags, unique key and time to live")
    if jobs:
        connection.execute(_INSERT, (Jsonb([_plain(new) for new in jobs]),), prepare=True)


def _plain(new: NewJob) -> dict[str, Any]:
    return {
        "id": str(new.id),
        "owner_id": str(new.owner_id),
        "kind": new.kind,
        "queue": new.queue,
        "priority": new.priority,
        "input": new.input,
        "max_attempts": new.max_attempts,
        "concurrency_key": new.concurrency_key,
        "silent": new.silent,
    }
