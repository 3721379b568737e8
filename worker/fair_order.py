"""The order in which waiting jobs go to Celery: owners by turn, an owner's lanes by turn, then priority, then age.

A lane is an owner's jobs of one kind and concurrency key. The ready index begins with the lane, so the statement walks
from lane to lane ("loose index scan": PostgreSQL wiki, Loose indexscan) and takes a few rows of each: what it costs
depends on how many jobs are wanted, not on how many wait. A lane at its limit is stepped over whole.

Limits are reserved here: a job counts from when it is handed to Celery until its attempt ends. That holds because only
the holder of the dispatcher's lease can mark jobs, and because the lease is locked while it does.
"""
# ruff: noqa: S608 - the statements are composed of constants, each of them a LiteralString

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from typing import LiteralString as Sql
from uuid import UUID

from psycopg import Connection
from psycopg.rows import args_row

from shared.job_kind import JobKind
from worker.dispatching import Dispatch

_MOST_REMEMBERED = 1024
_MOST_HURRIED: Sql = "16"

_READY: Sql = "queue = %(queue)s AND state = 'queued' AND dispatched_at IS NULL"
_OUT: Sql = "state = 'queued' AND dispatched_at IS NOT NULL"


_FIRST_OWNER: Sql = f"(SELECT owner_id FROM jobs WHERE {_READY} ORDER BY owner_id LIMIT 1)"


def _owner_after(owner: Sql) -> Sql:
    return f"(SELECT owner_id FROM jobs WHERE {_READY} AND owner_id > {owner} ORDER BY owner_id LIMIT 1)"


def _next_lane(after: Sql) -> Sql:
    return f"""SELECT kind, concurrency_key FROM jobs WHERE {_READY} AND owner_id = shares.owner_id AND {after}
               ORDER BY kind, concurrency_key LIMIT 1"""


def _lanes(start: Sql, until: Sql) -> Sql:
    # A kind at its limit is left behind with all its keys; a lane at its limit costs one step.
    return f"""
    WITH RECURSIVE walk AS (
        SELECT first.*, 1 AS step FROM ({_next_lane(f"(kind, concurrency_key) > {start} AND {until}")}) AS first
        UNION ALL
        SELECT following.*, walk.step + 1 FROM walk CROSS JOIN LATERAL (
            ({
        _next_lane(
            f"(kind, concurrency_key) > (walk.kind, walk.concurrency_key) AND {until} "
            "AND walk.kind <> ALL(shares.full_kinds)"
        )
    })
            UNION ALL
            ({_next_lane(f"kind > walk.kind AND {until} AND walk.kind = ANY(shares.full_kinds)")})
        ) AS following
        WHERE walk.step < shares.steps
    )
    SELECT kind, concurrency_key, step FROM walk
    """


_LEASE: Sql = """
lease AS MATERIALIZED (
    SELECT 1 FROM dispatcher_lease WHERE id = 1 AND holder = %(holder)s AND expires_at > clock_timestamp() FOR SHARE
)"""

_ROOM: Sql = f"""
known (kind, most, most_per_key) AS (SELECT * FROM unnest(%(kinds)s::text[], %(most)s::int[], %(most_per_key)s::int[])),
begun AS MATERIALIZED (
    SELECT owner_id, kind, concurrency_key, count(*) AS jobs FROM (
        SELECT owner_id, kind, concurrency_key FROM jobs WHERE state = 'running'
        UNION ALL
        SELECT owner_id, kind, concurrency_key FROM jobs WHERE {_OUT}
    ) AS active
    WHERE concurrency_key <> '' OR kind IN (SELECT kind FROM known WHERE most IS NOT NULL)
    GROUP BY owner_id, kind, concurrency_key
),
room AS MATERIALIZED (
    SELECT kind, most_per_key,
           most - coalesce((SELECT sum(jobs) FROM begun WHERE begun.kind = known.kind), 0) AS places
    FROM known
)"""

# Where an owner's turn ends is remembered, by the caller, only while the owner has more lanes than its share.
_SHARES: Sql = f"""
owners AS (
    SELECT owner_id, owner_id AS first_owner, 1 AS turn
    FROM (SELECT coalesce({_owner_after("%(after)s::uuid")}, {_FIRST_OWNER}) AS owner_id FROM lease) AS start
    WHERE owner_id IS NOT NULL
    UNION ALL
    SELECT following.owner_id, owners.first_owner, owners.turn + 1
    FROM owners CROSS JOIN LATERAL (
        SELECT coalesce({_owner_after("owners.owner_id")}, {_FIRST_OWNER}) AS owner_id
    ) AS following
    WHERE owners.turn < %(places)s AND following.owner_id <> owners.first_owner
),
shares AS MATERIALIZED (
    SELECT owners.owner_id, owners.turn, coalesce(past.kind, '') AS past_kind, coalesce(past.key, '') AS past_key,
           every.share, every.full_kinds,
           every.share + cardinality(every.full_kinds)
               + (SELECT count(*) FROM begun WHERE begun.owner_id = owners.owner_id) AS steps
    FROM owners
    LEFT JOIN unnest(%(past_owners)s::uuid[], %(past_kinds)s::text[], %(past_keys)s::text[])
        AS past (owner_id, kind, key) ON past.owner_id = owners.owner_id
    CROSS JOIN (
        SELECT ceil(%(places)s::float8 / greatest(count(*), 1))::int AS share,
               ARRAY(SELECT kind FROM room WHERE places <= 0) AS full_kinds
        FROM owners
    ) AS every
)"""

_PICKED: Sql = f"""
lanes AS MATERIALIZED (
    SELECT shares.*, walked.kind, walked.concurrency_key, room.places,
           CASE WHEN walked.concurrency_key <> '' THEN room.most_per_key - coalesce((
               SELECT jobs FROM begun
               WHERE (owner_id, kind, concurrency_key) = (shares.owner_id, walked.kind, walked.concurrency_key)
           ), 0) END AS key_places,
           row_number() OVER owners_lanes AS lane_turn, walked.walked
    FROM shares
    CROSS JOIN LATERAL (
        SELECT passes.*, count(*) OVER () AS walked FROM (
            SELECT 1 AS pass, after.* FROM ({_lanes("(shares.past_kind, shares.past_key)", "true")}) AS after
            UNION ALL
            SELECT 2, before.*
            FROM ({_lanes("('', '')", "(kind, concurrency_key) <= (shares.past_kind, shares.past_key)")}) AS before
        ) AS passes
    ) AS walked
    JOIN room USING (kind)
    WINDOW owners_lanes AS (PARTITION BY shares.owner_id ORDER BY walked.pass, walked.step)
),
open_lanes AS MATERIALIZED (
    SELECT *, count(*) OVER (PARTITION BY owner_id) AS lanes
    FROM lanes WHERE (places IS NULL OR places > 0) AND (key_places IS NULL OR key_places > 0)
),
candidates AS MATERIALIZED (
    SELECT lane.*, job.id, row_number() OVER (
        PARTITION BY lane.owner_id, lane.kind, lane.concurrency_key ORDER BY job.priority DESC, job.run_at, job.id
    ) AS place
    FROM open_lanes AS lane CROSS JOIN LATERAL (
        SELECT id, priority, run_at FROM jobs
        WHERE {_READY} AND owner_id = lane.owner_id AND kind = lane.kind AND concurrency_key = lane.concurrency_key
        ORDER BY priority DESC, run_at, id
        LIMIT least(ceil(lane.share::float8 / lane.lanes)::int, lane.places, lane.key_places)
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS job
),
placed AS (
    SELECT *, row_number() OVER (PARTITION BY owner_id ORDER BY place, lane_turn) AS owner_place,
           row_number() OVER (PARTITION BY kind ORDER BY place, lane_turn, turn) AS kind_place
    FROM candidates
),
picked AS MATERIALIZED (
    SELECT id, owner_id, kind, concurrency_key, walked >= steps AS cut,
           row_number() OVER (ORDER BY owner_place, turn) AS position
    FROM placed WHERE owner_place <= share AND (places IS NULL OR kind_place <= places)
    ORDER BY owner_place, turn LIMIT %(places)s
)"""

# By array and not by join: whatever the planner believes of the walk above, this is an index lookup per job.
_PICK: Sql = f"""
WITH RECURSIVE {_LEASE}, {_ROOM}, {_SHARES}, {_PICKED}, marked AS (
    UPDATE jobs SET dispatched_at = clock_timestamp(), dispatch_seq = dispatch_seq + 1
    WHERE id = ANY(ARRAY(SELECT id FROM picked)) RETURNING id, dispatch_seq
), seen AS (
    SELECT count(*) AS owners, (array_agg(owner_id ORDER BY turn DESC))[1] AS last_owner FROM owners
)
SELECT seen.owners, seen.last_owner, marked.id, picked.owner_id, picked.kind, picked.concurrency_key, picked.cut,
       marked.dispatch_seq
FROM seen LEFT JOIN (picked JOIN marked USING (id)) ON true
ORDER BY picked.position
"""

# An owner's urgent job takes the place of the owner's own least urgent one, so nobody else pays for its hurry.
_HURRY: Sql = f"""
WITH {_LEASE}, urgent AS (
    SELECT id, kind, owner_id, priority,
           row_number() OVER (PARTITION BY owner_id ORDER BY priority DESC, run_at, id) AS place
    FROM (
        SELECT id, kind, owner_id, priority, run_at, concurrency_key FROM jobs
        WHERE {_READY} AND priority > 0 ORDER BY priority DESC, run_at, id LIMIT {_MOST_HURRIED}
    ) AS first
    WHERE concurrency_key = '' AND kind = ANY(%(free_kinds)s) AND EXISTS (SELECT 1 FROM lease)
), slow AS (
    SELECT id, owner_id, priority,
           row_number() OVER (PARTITION BY owner_id ORDER BY priority, run_at DESC, id DESC) AS place
    FROM jobs WHERE queue = %(queue)s AND {_OUT}
), swap AS MATERIALIZED (
    SELECT urgent.id, urgent.kind, urgent.priority, slow.id AS slow_id
    FROM urgent JOIN slow USING (owner_id, place) WHERE urgent.priority > slow.priority
), taken_back AS (
    UPDATE jobs SET dispatched_at = NULL WHERE id = ANY(ARRAY(SELECT slow_id FROM swap)) AND {_OUT}
), marked AS (
    UPDATE jobs SET dispatched_at = clock_timestamp(), dispatch_seq = dispatch_seq + 1
    WHERE id = ANY(ARRAY(SELECT id FROM swap)) AND {_READY} RETURNING id, dispatch_seq
)
SELECT id, kind, dispatch_seq FROM swap JOIN marked USING (id) ORDER BY swap.priority DESC
"""


class FairOrder:
    """Takes jobs of one queue in fair order; remembers whose turn is next, which a restart may forget."""

    def __init__(self, queue: str, kinds: Iterable[JobKind]) -> None:
        known = list(kinds)
        self._queue = queue
        self._free_kinds = [kind.name for kind in known if kind.concurrency is None]
        self._limits: dict[str, Any] = {
            "kinds": [kind.name for kind in known],
            "most": [kind.concurrency for kind in known],
            "most_per_key": [kind.concurrency_per_key for kind in known],
        }
        self._after: UUID | None = None
        self._past: dict[UUID, tuple[str, str]] = {}

    def pick(self, connection: Connection[Any], holder: UUID, places: int) -> tuple[list[Dispatch], bool]:
        """Mark the next jobs as dispatched, `places` at most; nothing when `holder` has lost the dispatcher's lease.

        Also tells whether owners are left that this walk did not reach: when it took too little, go on at once.
        """
        arguments = self._limits | {
            "queue": self._queue,
            "holder": holder,
            "places": places,
            "after": self._after,
            "past_owners": list(self._past),
            "past_kinds": [kind for kind, _ in self._past.values()],
            "past_keys": [key for _, key in self._past.values()],
        }
        with connection.cursor(row_factory=args_row(_Step)) as cursor:
            steps = cursor.execute(_PICK, arguments, prepare=True).fetchall()
        # A walk that found nothing is one row, which tells of the walk alone.
        taken = [Dispatch(step.id, step.kind, self._queue, step.dispatch_seq) for step in steps if step.id is not None]
        for step in steps[: len(taken)]:
            self._remember(step)
        owners_left = steps[0].owners >= places
        self._after = steps[0].last_owner if owners_left else steps[-1].owner_id or self._after
        return taken, owners_left

    def hurry(self, connection: Connection[Any], holder: UUID) -> list[Dispatch]:
        """Hand over urgent jobs (of a positive priority) in place of less urgent ones that their owners have in Celery.

        A message of what is taken back stays in Celery, to be refused at the claim. Kinds and keys with limits wait.
        """
        arguments = {"queue": self._queue, "holder": holder, "free_kinds": self._free_kinds}
        rows = connection.execute(_HURRY, arguments, prepare=True).fetchall()
        return [Dispatch(job_id, kind, self._queue, sequence, urgent=True) for job_id, kind, sequence in rows]

    def _remember(self, step: "_Step") -> None:
        self._past.pop(step.owner_id, None)
        if step.cut:
            self._past[step.owner_id] = (step.kind, step.concurrency_key)
            if len(self._past) > _MOST_REMEMBERED:
                del self._past[next(iter(self._past))]


@dataclass(frozen=True, slots=True)
class _Step:
    owners: int
    last_owner: UUID | None
    id: UUID | None
    owner_id: UUID
    kind: str
    concurrency_key: str
    cut: bool
    dispatch_seq: int
