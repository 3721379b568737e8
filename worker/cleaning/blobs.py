"""Blobs without rows, and rows without blobs: the storage is walked once and compared with the database both ways."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import LiteralString
from uuid import UUID

from shared.storage import Blob
from worker.cleaning.sweep import MOST_LISTED, Doomed, Sweep

_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UPLOADED = re.compile(f"uploads/[0-9a-f]{{2}}/({_ID})|parts/({_ID})/.+")
_OUTPUT = re.compile(f"outputs/({_ID})/([0-9]{{1,9}})/.+")
_CLEANED = ("uploads/", "parts/", "outputs/", "incoming/")

# Only ids are kept, and on the server: memory stays flat whatever the storage holds.
_MAKE_PRESENT: LiteralString = "CREATE TEMPORARY TABLE present (id uuid NOT NULL)"
# One statement, so one moment: a blob whose row is about to come has another that says so, until that one is there.
# Without either it never gets one: an upload's row comes before its blob, and a fence that is over never comes back.
_COMPARE: LiteralString = """
WITH listed AS MATERIALIZED (
    SELECT * FROM unnest(%s::text[], %s::uuid[], %s::uuid[], %s::integer[]) AS listed (key, upload_id, job_id, fence)
), known AS MATERIALIZED (
    SELECT files.id, listed.key FROM listed JOIN files ON files.storage_key = listed.key
), noted AS (
    INSERT INTO present SELECT id FROM known
)
SELECT key FROM listed
WHERE NOT EXISTS (SELECT FROM known WHERE known.key = listed.key)
  AND NOT EXISTS (SELECT FROM uploads WHERE uploads.id = listed.upload_id)
  AND NOT EXISTS (SELECT FROM jobs WHERE jobs.id = listed.job_id AND jobs.fence = listed.fence AND state = 'running')
"""
# A file's row comes after its blob and goes before it: one that stood before the walk and still does was walked over.
# But `created_at` is when its transaction began, which may end behind its blob's turn. None lasts an hour;
# at a file that young the next run looks.
_MISSING: LiteralString = """
WITH missing AS MATERIALIZED (
    SELECT id FROM files
    WHERE created_at < %(began)s - interval '1 hour'
      AND NOT EXISTS (SELECT FROM present WHERE present.id = files.id)
)
SELECT (SELECT count(*) FROM missing), ARRAY(SELECT id FROM missing ORDER BY id LIMIT %(most)s)
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """Counts the files without a blob that were an hour old when the walk began, and names the first."""

    count: int
    first: list[UUID]


def compare_blobs(sweep: Sweep) -> Missing:
    """Delete the blobs that no row knows, once they are older than the grace; tell which older files have no blob."""
    sweep.connection.execute(_MAKE_PRESENT)
    began = _read_clock(sweep)
    cutoff = began.timestamp() - sweep.grace_seconds
    for batch in _batches(sweep.storage.blobs(), sweep.batch_size):
        unknown = _find_unknown(sweep, [blob for blob in batch if blob.key.startswith(_CLEANED)])
        old = [Doomed(blob.key, blob.size) for blob in unknown if blob.modified < cutoff]
        sweep.remove("orphaned", old)
        sweep.report(len(batch), "blobs")
    # The planner knows nothing of a temporary table otherwise.
    sweep.connection.execute("ANALYZE present")
    row = sweep.connection.execute(_MISSING, {"began": began, "most": MOST_LISTED}).fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return Missing(*row)


def _read_clock(sweep: Sweep) -> datetime:
    row = sweep.connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise RuntimeError("a SELECT without FROM gives one row")
    return row[0]


def _find_unknown(sweep: Sweep, blobs: Sequence[Blob]) -> list[Blob]:
    origins = [_origin(blob.key) for blob in blobs]
    columns = [list(column) for column in zip(*origins, strict=True)] or [[], [], []]
    keys = [blob.key for blob in blobs]
    unknown = {row[0] for row in sweep.connection.execute(_COMPARE, (keys, *columns))}
    return [blob for blob in blobs if blob.key in unknown]


def _origin(key: str) -> tuple[UUID | None, UUID | None, int | None]:
    """Tell which upload, or which job under which fence, made a blob."""
    if match := _UPLOADED.fullmatch(key):
        return UUID(match[1] or match[2]), None, None
    if match := _OUTPUT.fullmatch(key):
        return None, UUID(match[1]), int(match[2])
    return None, None, None


def _batches(blobs: Iterator[Blob], size: int) -> Iterator[list[Blob]]:
    while batch := list(islice(blobs, size)):
        yield batch
