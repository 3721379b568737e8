"""Queues as operators see them: how long their lines are, how old, and whether they are paused.

What is asked here stays cheap with a million rows waiting: lines are counted up to a limit, and the oldest job is found
by walking over the lanes of the ready index, from each to the next, instead of over the jobs.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import TextClause, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.resources import Resources
from shared.errors import JobyardError
from shared.job_kind import QUEUES
from shared.models import Job
from shared.service_models import Queue

MOST_COUNTED = 10_000
MOST_LANES = 1_000
MOST_WAITS = 1_000


class QueueNotFound(JobyardError):
    """Is raised for a name that no queue has."""

    status = 404
    code = "queue_not_found"
    title = "Queue not found"


class QueueStatus(BaseModel):
    """Is how a queue stands."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "name": "images",
                "paused": False,
                "paused_at": None,
                "paused_by": None,
                "waiting": 12,
                "waiting_capped": False,
                "dispatched": 4,
                "running": 2,
                "scheduled": 3,
                "retrying": 1,
                "delayed_capped": False,
                "oldest_queued_seconds": 7.31,
                "wait_p95_seconds": 2.05,
            }
        },
    )

    name: str
    paused: bool
    paused_at: datetime | None
    paused_by: UUID | None = Field(description="The user who paused it; null when that user is gone.")
    waiting: int = Field(description=f"Queued and not yet handed to Celery; counted up to {MOST_COUNTED}.")
    waiting_capped: bool = Field(description="Whether more wait than were counted.")
    dispatched: int = Field(description="Handed to Celery and not yet begun.")
    running: int
    scheduled: int = Field(description="Waiting for their time.")
    retrying: int = Field(description="Waiting for their next attempt.")
    delayed_capped: bool = Field(
        description=f"Whether scheduled and retrying were counted only among the {MOST_COUNTED} jobs of all queues "
        "that are due next."
    )
    oldest_queued_seconds: float | None = Field(
        description="How long ago the oldest queued job became due; null without one. With more than "
        f"{MOST_LANES} lines of one owner, kind, concurrency key and priority it may be longer ago."
    )
    wait_p95_seconds: float | None = Field(
        description="95 of 100 jobs began within this time after they were due: of those that began once and ended in "
        f"the last hour, the newest {MOST_WAITS}, found among the {MOST_COUNTED} of all queues that ended last."
    )


class QueueList(BaseModel):
    """Lists all queues."""

    items: list[QueueStatus]


_READY = "state = 'queued' AND dispatched_at IS NULL"
_LINE = "owner_id, kind, concurrency_key, priority, run_at"
_IN_ORDER = "ORDER BY owner_id, kind, concurrency_key, priority DESC, run_at"
_SAME_LANE = "(owner_id, kind, concurrency_key) = (walk.owner_id, walk.kind, walk.concurrency_key)"
_LATER_LANE = "(owner_id, kind, concurrency_key) > (walk.owner_id, walk.kind, walk.concurrency_key)"

# The order makes the planner take the ready index, from which a limited count reads a limited number of entries.
# The first of each line is its oldest, so the walk takes one row of each line: of a lane and priority.
_WALK = f"""
walk AS (
    SELECT asked.name, first.*, 1 AS step FROM asked CROSS JOIN LATERAL (
        SELECT {_LINE} FROM jobs WHERE queue = asked.name AND {_READY} {_IN_ORDER}, id LIMIT 1
    ) AS first
    UNION ALL
    SELECT walk.name, following.*, walk.step + 1 FROM walk CROSS JOIN LATERAL (
        SELECT * FROM (
            (SELECT {_LINE} FROM jobs WHERE queue = walk.name AND {_READY} AND {_SAME_LANE}
             AND priority < walk.priority {_IN_ORDER}, id LIMIT 1)
            UNION ALL
            (SELECT {_LINE} FROM jobs WHERE queue = walk.name AND {_READY} AND {_LATER_LANE} {_IN_ORDER}, id LIMIT 1)
        ) AS either {_IN_ORDER} LIMIT 1
    ) AS following
    WHERE walk.step < {MOST_LANES}
)"""  # noqa: S608 - constants of this module

# Neither index of these has the queue: the rows of all queues are looked at, a limited number of them.
_LIMITED = f"""
delayed AS MATERIALIZED (
    SELECT queue, state FROM jobs WHERE state IN ('scheduled', 'retrying') ORDER BY run_at LIMIT {MOST_COUNTED} + 1
),
waits AS MATERIALIZED (
    SELECT queue, extract(epoch FROM started_at - run_at) AS seconds,
           row_number() OVER (PARTITION BY queue ORDER BY finished_at DESC) AS place
    FROM (
        SELECT queue, fence, started_at, run_at, finished_at FROM jobs
        WHERE finished_at > now() - interval '1 hour' ORDER BY finished_at DESC LIMIT {MOST_COUNTED}
    ) AS newest
    WHERE fence = 1 AND started_at IS NOT NULL
)"""  # noqa: S608 - constants of this module

_STATUS: TextClause = text(f"""
WITH RECURSIVE asked (name, position) AS (SELECT * FROM unnest(CAST(:names AS text[])) WITH ORDINALITY),
{_WALK}, {_LIMITED}, counted AS MATERIALIZED (
    SELECT asked.*,
        (SELECT count(*) FROM (
            SELECT 1 FROM jobs WHERE queue = asked.name AND {_READY} {_IN_ORDER} LIMIT {MOST_COUNTED} + 1
        ) AS line) AS waiting,
        (SELECT count(*) FROM jobs
         WHERE queue = asked.name AND state = 'queued' AND dispatched_at IS NOT NULL) AS dispatched,
        (SELECT count(*) FROM jobs WHERE queue = asked.name AND state = 'running') AS running,
        (SELECT count(*) FROM delayed WHERE queue = asked.name AND state = 'scheduled') AS scheduled,
        (SELECT count(*) FROM delayed WHERE queue = asked.name AND state = 'retrying') AS retrying,
        least(
            (SELECT min(run_at) FROM walk WHERE walk.name = asked.name),
            (SELECT min(run_at) FROM jobs
             WHERE queue = asked.name AND state = 'queued' AND dispatched_at IS NOT NULL)
        ) AS oldest,
        (SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) FROM waits
         WHERE queue = asked.name AND place <= {MOST_WAITS}) AS wait_p95
    FROM asked
)
SELECT counted.name, paused_at IS NOT NULL AS paused, paused_at, paused_by,
       least(waiting, {MOST_COUNTED}) AS waiting, waiting > {MOST_COUNTED} AS waiting_capped, dispatched, running,
       scheduled, retrying, (SELECT count(*) FROM delayed) > {MOST_COUNTED} AS delayed_capped,
       round(extract(epoch FROM clock_timestamp() - oldest), 3)::float8 AS oldest_queued_seconds,
       round(wait_p95::numeric, 3)::float8 AS wait_p95_seconds
FROM counted LEFT JOIN queues ON queues.name = counted.name
ORDER BY position
""")  # noqa: S608 - constants of this module


async def list_queues(resources: Resources) -> QueueList:
    """Tell how all queues stand."""
    async with resources.sessions() as session:
        return QueueList(items=await _read(session, QUEUES))


async def pause_queue(resources: Resources, name: str, user_id: UUID) -> QueueStatus:
    """Stop dispatching a queue and take back what no worker has begun; repeating it changes nothing.

    Raises `QueueNotFound`.
    """
    _require_queue(name)
    async with resources.sessions.begin() as session:
        pause = insert(Queue).values(name=name, paused_at=func.now(), paused_by=user_id)
        await session.execute(
            pause.on_conflict_do_update(
                index_elements=[Queue.name],
                set_={"paused_at": pause.excluded.paused_at, "paused_by": pause.excluded.paused_by},
                where=Queue.paused_at.is_(None),
            )
        )
        # The messages stay in Celery and are refused at the claim. A row that is locked is being claimed or cancelled.
        taken_back = (
            select(Job.id)
            .where(Job.queue == name, Job.state == "queued", Job.dispatched_at.is_not(None))
            .with_for_update(key_share=True, skip_locked=True)
        )
        await session.execute(update(Job).where(Job.id.in_(taken_back)).values(dispatched_at=None))
        [status] = await _read(session, [name])
    return status


async def resume_queue(resources: Resources, name: str) -> QueueStatus:
    """Dispatch a queue again; repeating it changes nothing. Raises `QueueNotFound`."""
    _require_queue(name)
    async with resources.sessions.begin() as session:
        await session.execute(update(Queue).where(Queue.name == name).values(paused_at=None, paused_by=None))
        [status] = await _read(session, [name])
    resources.nudger.nudge()
    return status


def _require_queue(name: str) -> None:
    if name not in QUEUES:
        raise QueueNotFound(f"There are the queues {', '.join(QUEUES)}.")


async def _read(session: AsyncSession, names: Sequence[str]) -> list[QueueStatus]:
    rows = await session.execute(_STATUS, {"names": list(names)})
    return [QueueStatus.model_validate(row) for row in rows]
