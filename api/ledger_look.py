"""Looking into the ledger for those who wait: what they watch and were not told of, whatever became of the messages.

Once a second, and at once where an owner is said to have news. A look misses nothing that was committed: it asks for
what no snapshot before it can have shown, so a long transaction that commits late is found, too.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.job_frames import frame_of
from api.watched import Watched, WatchedOwner
from shared.job_row import COLUMNS, JobRow

logger = logging.getLogger(__name__)

LEDGER_SECONDS = 1.0
NEWS_SECONDS = 0.02
"""Between two looks at news: what comes meanwhile shares the next one."""
AGAIN_SECONDS = 0.1
ROWS_AT_ONCE = 500
_NEVER = 2**63 - 1

# Rows of a ledger that was restored carry transactions of another one: those may be still to come in this.
# OFFSET 0, here and below: one walk down an index for each of what is asked for, whatever the statistics say.
CHANGED = """
WITH snapshot AS MATERIALIZED (
    SELECT pg_snapshot_xmin(taken)::text::bigint AS first_open, pg_snapshot_xmax(taken)::text::bigint AS next
    FROM pg_current_snapshot() AS taken
)
SELECT first_open, watched.owner_id, changed.id, changed.version
FROM snapshot CROSS JOIN unnest(%s::uuid[], %s::bigint[]) AS watched (owner_id, since) LEFT JOIN LATERAL (
    SELECT owner_id, id, version FROM jobs
    WHERE owner_id = watched.owner_id AND changed_xid >= watched.since AND changed_xid < next OFFSET 0
) AS changed ON true
"""
NEWER = f"""
SELECT job_id, {COLUMNS} FROM unnest(%s::uuid[], %s::bigint[]) AS told (job_id, told_version)
LEFT JOIN LATERAL (SELECT {COLUMNS} FROM jobs WHERE id = job_id OFFSET 0) AS job ON true
WHERE id IS NULL OR version > told_version
"""  # noqa: S608 - the columns are a constant


class LedgerLook:
    """Looks for what feeds watch. No failure ends it: with PostgreSQL away it goes on when that is back."""

    def __init__(
        self, watched: Watched, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]], retention: timedelta
    ) -> None:
        self._watched = watched
        self._ledger = ledger
        self._retention = retention
        self._news: set[UUID] = set()
        self._unread: set[UUID] = set()
        self._soon = asyncio.Event()

    def look_soon(self, *, owner_id: UUID | None = None, job_id: UUID | None = None) -> None:
        """Have an owner's jobs, or one job, looked at very soon."""
        if owner_id is not None:
            self._news.add(owner_id)
        if job_id is not None:
            self._unread.add(job_id)
        self._soon.set()

    async def look_for_ever(self) -> None:
        """Look once a second, while anybody waits, until cancelled."""
        pause = LEDGER_SECONDS
        while True:
            await self._watched.anything.wait()
            await asyncio.sleep(pause)
            if not self._watched.jobs and not self._watched.owners:
                self._watched.anything.clear()
                continue
            jobs = [job_id for job_id, job in self._watched.jobs.items() if not job.done]
            pause = LEDGER_SECONDS if await self._try(jobs, [*self._watched.owners]) else AGAIN_SECONDS
            if pause == LEDGER_SECONDS:
                for owner in self._watched.owners.values():
                    owner.end_round()

    async def follow_news(self) -> None:
        """Look where there is news until cancelled; what fails is found by the look of every second."""
        while True:
            await self._soon.wait()
            self._soon.clear()
            owners = self._news & self._watched.owners.keys()
            jobs = self._unread.union(self._watched.jobs_of(self._news))
            self._news.clear()
            self._unread.clear()
            if owners or jobs:
                await self._try(jobs, owners)
                await asyncio.sleep(NEWS_SECONDS)

    async def _try(self, job_ids: Iterable[UUID], owner_ids: Iterable[UUID]) -> bool:
        try:
            await self._look(job_ids, owner_ids)
        except (psycopg.Error, PoolTimeout, OSError) as error:
            logger.warning("PostgreSQL does not answer those who wait: %s", type(error).__name__)
            return False
        except Exception:
            # Whatever it is: whoever waits depends on the next look.
            logger.exception("a look into the ledger failed")
        return True

    async def _look(self, job_ids: Iterable[UUID], owner_ids: Iterable[UUID]) -> None:
        told = {job_id: self._version_of(job_id) for job_id in job_ids}
        owners = {
            owner_id: self._watched.owners[owner_id] for owner_id in owner_ids if owner_id in self._watched.owners
        }
        sinces = {owner_id: owner.since for owner_id, owner in owners.items()}
        first_open = None
        async with self._ledger.connection() as connection:
            if owners:
                first_open = await self._add_changed(connection, owners, told)
            ids = list(told)
            for start in range(0, len(ids), ROWS_AT_ONCE):
                await self._tell_newer(connection, {each: told[each] for each in ids[start : start + ROWS_AT_ONCE]})
        # Only now: had the reading failed, the next look would have to begin where this one did. If somebody has set it
        # meanwhile, a snapshot older than this look's may want everything since then.
        for owner_id, owner in owners.items():
            if first_open is not None:
                others = owner.since if owner.since != sinces[owner_id] else None
                owner.since = first_open if others is None else min(others, first_open)

    async def _add_changed(
        self, connection: AsyncConnection[Any], owners: dict[UUID, WatchedOwner], told: dict[UUID, int]
    ) -> int:
        """Add the owners' jobs that run or have changed, with the version that was told; gives where to go on."""
        sinces = [_NEVER if owner.since is None else owner.since for owner in owners.values()]
        for owner in owners.values():
            for job_id, each in owner.told.items():
                if each.running:
                    told[job_id] = min(each.version, told.get(job_id, each.version))
        cursor = await connection.execute(CHANGED, (list(owners), sinces))
        rows = await cursor.fetchall()
        for _, owner_id, job_id, version in rows:
            if job_id is not None:
                known = owners[owner_id].recall(job_id)
                if known < version:
                    told[job_id] = min(known, told.get(job_id, known))
        return rows[0][0]

    def _version_of(self, job_id: UUID) -> int:
        job = self._watched.jobs.get(job_id)
        return job.version if job is not None else 0

    async def _tell_newer(self, connection: AsyncConnection[Any], told: dict[UUID, int]) -> None:
        cursor = await connection.execute(NEWER, (list(told), list(told.values())))
        for job_id, *values in await cursor.fetchall():
            if values[0] is None:
                self._watched.lose(job_id)
            else:
                self._watched.deliver_news(frame_of(JobRow(*values), self._retention))
