"""Snapshots: what a stream tells before it tells of changes. Open the feed first, then read, then `put`."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import args_row, scalar_row

from api.job_frames import Frame, frame_of
from api.resources import Resources
from shared.job_row import COLUMNS, JobRow

LIVE_AT_ONCE = 100

# OFFSET 0: one walk down the index of ids for each, whatever the statistics say.
READ = f"""
SELECT {COLUMNS} FROM unnest(%s::uuid[]) AS wanted (job_id),
    LATERAL (SELECT {COLUMNS} FROM jobs WHERE id = job_id OFFSET 0) AS job
WHERE owner_id = %s
"""  # noqa: S608 - the columns are a constant
FIRST_OPEN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
LIVE = f"""
SELECT {COLUMNS} FROM jobs
WHERE owner_id = %(owner_id)s AND finished_at IS NULL AND tags @> %(tags)s::text[]
  AND (%(any_tag)s::text[] = '{{}}' OR tags && %(any_tag)s)
  AND CASE WHEN %(kinds)s::text[] = '{{}}' THEN NOT silent ELSE kind = ANY(%(kinds)s) END
  AND (%(before)s::timestamptz IS NULL OR (created_at, id) < (%(before)s, %(before_id)s))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant


async def read_jobs(resources: Resources, owner_id: UUID, job_ids: Sequence[UUID]) -> list[Frame]:
    """Read those of these jobs that are the owner's; in no order."""
    async with resources.ledger.connection() as connection, connection.cursor(row_factory=args_row(JobRow)) as cursor:
        await cursor.execute(READ, (list(job_ids), owner_id))
        return [frame_of(row, resources.job_retention) for row in await cursor.fetchall()]


async def read_live_jobs(
    resources: Resources,
    owner_id: UUID,
    kinds: Sequence[str],
    tags: Sequence[str],
    limit: int,
    *,
    any_tag: Sequence[str] = (),
) -> AsyncGenerator[list[Frame]]:
    """Read an owner's jobs that are not done, newest first, of any of these kinds, with all of these tags.

    With `any_tag` each has one of those, too. Without kinds, silent jobs are left out. They come a hundred at a time so
    that a client that reads slowly is not read for in vain; no connection is held in between. Looks of the owner's
    feeds begin here.
    """
    async with resources.ledger.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
        await cursor.execute(FIRST_OPEN)
        transaction: int | None = await cursor.fetchone()
    if transaction is not None:
        resources.changes.watched.note_since(owner_id, transaction)
    given: dict[str, Any] = {"owner_id": owner_id, "kinds": list(kinds), "tags": list(tags), "any_tag": list(any_tag)}
    place: tuple[datetime | None, UUID | None] = None, None
    while limit > 0:
        rows = await _read_live(resources, given, place, min(limit, LIVE_AT_ONCE))
        if rows:
            yield [frame_of(row, resources.job_retention) for row in rows]
        if len(rows) < LIVE_AT_ONCE:
            return
        limit -= len(rows)
        place = rows[-1].created_at, rows[-1].id


async def _read_live(
    resources: Resources, given: dict[str, Any], place: tuple[datetime | None, UUID | None], limit: int
) -> list[JobRow]:
    before, before_id = place
    async with resources.ledger.connection() as connection, connection.cursor(row_factory=args_row(JobRow)) as cursor:
        await cursor.execute(LIVE, given | {"before": before, "before_id": before_id, "limit": limit})
        return await cursor.fetchall()
