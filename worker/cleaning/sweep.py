"""One run of the cleaning: its connection, how it goes about things, what it has done so far."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, LiteralString, NamedTuple
from uuid import UUID

from psycopg import Connection
from psycopg.errors import DeadlockDetected, LockNotAvailable

from shared.job_context import JobContext

logger = logging.getLogger(__name__)

MOST_LISTED = 100
LONGEST_WAIT: LiteralString = "5s"
"""For rows that others hold: whoever waits for what a batch has locked waits no longer either."""
_MOST_TRIES = 3

Reason = Literal["expired", "abandoned", "orphaned"]


class Doomed(NamedTuple):
    """Is what is deleted, or would be: its blob and its size in bytes, and what other blobs it may have."""

    key: str
    size: int
    parts: Sequence[str] = ()


class Sweep:
    """Is one run of the cleaning. It counts, and lists the first of each sort when it is a dry run."""

    def __init__(
        self, context: JobContext, connection: Connection[tuple[Any, ...]], *, dry_run: bool, batch_size: int
    ) -> None:
        """Begin a run on an autocommit connection that is used for nothing else."""
        self.storage = context.storage
        self.connection = connection
        self.grace_seconds = context.settings.orphan_grace_minutes * 60
        self.dry_run = dry_run
        self.batch_size = batch_size
        self.count: Counter[Reason] = Counter()
        self.bytes_freed = 0
        self.listed: list[tuple[Reason, Doomed]] = []
        self._context = context
        self._seen = 0

    def batches(self, statement: LiteralString, size: int) -> Iterator[list[UUID]]:
        """Give the ids that a statement finds now, in batches; nothing is locked, and no snapshot is held open."""
        with self.connection.cursor("cleaning", withhold=True) as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(size):
                yield [row[0] for row in rows]

    def take(self, take: Callable[["Sweep", list[UUID]], list[Doomed]], ids: list[UUID]) -> list[Doomed]:
        """Take a batch in a transaction; what others hold for too long is left to the next run."""
        for _ in range(_MOST_TRIES):
            try:
                with self.connection.transaction():
                    return take(self, ids)
            except (DeadlockDetected, LockNotAvailable) as error:
                logger.info("a batch of %s rows is held by others: %s", len(ids), type(error).__name__)
        return []

    def remove(self, reason: Reason, found: Sequence[Doomed]) -> None:
        """Count what was found and delete its blobs, which have no row (any more); a dry run only lists it."""
        listed = self.count[reason]
        self.count[reason] += len(found)
        self.bytes_freed += sum(doomed.size for doomed in found)
        if self.dry_run:
            self.listed.extend((reason, doomed) for doomed in found[: max(0, MOST_LISTED - listed)])
        elif found:
            self.storage.delete(*(key for doomed in found for key in (doomed.key, *doomed.parts)))

    def report(self, count: int, of_what: str) -> None:
        """Say how far it is; raises `Cancelled` when it should end."""
        self._seen += count
        self._context.progress(self._seen, None, f"Looked at {self._seen} rows and blobs, now {of_what}")
