"""Uploads that were given up: nobody has gone on with them for so long that their rows expired."""

from collections import defaultdict
from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID

from shared.storage import part_key, upload_key
from worker.cleaning.sweep import Doomed, Sweep

MOST_PARTS = 10_000
"""In a batch, unless a single upload has more."""

_FIND: LiteralString = "SELECT id FROM uploads WHERE expires_at < now()"
# One that is locked is being gone on with, or becomes a file, right now.
_LOCK: LiteralString = """
SELECT id, received FROM uploads WHERE id = ANY(%s) AND expires_at < now() ORDER BY id FOR UPDATE SKIP LOCKED
"""
_WOULD_LOCK: LiteralString = "SELECT id, received FROM uploads WHERE id = ANY(%s) AND expires_at < now()"
_COUNT: LiteralString = "SELECT id, parts FROM uploads WHERE id = ANY(%s) ORDER BY id"
_PARTS: LiteralString = "SELECT upload_id, blob_id FROM upload_parts WHERE upload_id = ANY(%s)"
_DELETE: LiteralString = "DELETE FROM uploads WHERE id = ANY(%s)"


def remove_abandoned(sweep: Sweep) -> None:
    """Delete the uploads that were given up, with their parts and what may already stand in the file's place."""
    for found in sweep.batches(_FIND, sweep.batch_size):
        for ids in _by_parts(sweep, found):
            sweep.remove("abandoned", sweep.take(_take, ids))
            sweep.report(len(ids), "abandoned uploads")


def _by_parts(sweep: Sweep, found: list[UUID]) -> Iterator[list[UUID]]:
    """Make batches of about as many parts: all their keys are in memory at once."""
    ids: list[UUID] = []
    parts = 0
    for upload_id, its_parts in sweep.connection.execute(_COUNT, (found,)).fetchall():
        if ids and parts + its_parts > MOST_PARTS:
            yield ids
            ids, parts = [], 0
        ids.append(upload_id)
        parts += its_parts
    if ids:
        yield ids


def _take(sweep: Sweep, ids: list[UUID]) -> list[Doomed]:
    found = sweep.connection.execute(_WOULD_LOCK if sweep.dry_run else _LOCK, (ids,)).fetchall()
    if sweep.dry_run:
        return [Doomed(upload_key(upload_id), received) for upload_id, received in found]
    taken = [upload_id for upload_id, _ in found]
    parts: defaultdict[UUID, list[str]] = defaultdict(list)
    for upload_id, blob_id in sweep.connection.execute(_PARTS, (taken,)):
        parts[upload_id].append(part_key(upload_id, blob_id))
    sweep.connection.execute(_DELETE, (taken,))
    return [Doomed(upload_key(upload_id), received, parts[upload_id]) for upload_id, received in found]
