"""Files past their time that no live job needs."""

from typing import LiteralString
from uuid import UUID

from shared.job_state import TERMINAL, JobState
from worker.cleaning.sweep import Doomed, Sweep

_LIVE = [state.value for state in JobState if state not in TERMINAL]

_FIND: LiteralString = "SELECT id FROM files WHERE expires_at < now()"
# A file that is locked is being given to a job, or changed, right now.
_LOCK: LiteralString = """
SELECT id FROM files WHERE id = ANY(%s) AND expires_at < now() ORDER BY id FOR UPDATE SKIP LOCKED
"""
_UNNEEDED: LiteralString = """
id = ANY(%(ids)s) AND NOT EXISTS (
    SELECT FROM job_files JOIN jobs ON jobs.id = job_files.job_id
    WHERE job_files.file_id = files.id AND jobs.state = ANY(%(live)s)
)
"""
_DELETE: LiteralString = f"DELETE FROM files WHERE {_UNNEEDED} RETURNING storage_key, size"  # noqa: S608 - a constant
_WOULD_DELETE: LiteralString = f"SELECT storage_key, size FROM files WHERE expires_at < now() AND {_UNNEEDED}"  # noqa: S608 - a constant


def remove_expired(sweep: Sweep) -> None:
    """Delete the files whose time is over, unless a live job needs them."""
    for ids in sweep.batches(_FIND, sweep.batch_size):
        sweep.remove("expired", sweep.take(_take, ids))
        sweep.report(len(ids), "expired files")


def _take(sweep: Sweep, ids: list[UUID]) -> list[Doomed]:
    if sweep.dry_run:
        statement = _WOULD_DELETE
    else:
        ids = [row[0] for row in sweep.connection.execute(_LOCK, (ids,))]
        # A statement of its own: behind the locks it sees the job of an enqueue that came first. None can come now.
        statement = _DELETE
    return [Doomed(*row) for row in sweep.connection.execute(statement, {"ids": ids, "live": _LIVE})]
