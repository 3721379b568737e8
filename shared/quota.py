"""What an owner may store, and whether it still fits.

Triggers add what a statement stored to the owner's row of `storage_usage` and so lock it until the end of the
transaction. Asking afterwards, in the same transaction, is therefore exact, however many others store at once.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, Connection
from psycopg.rows import args_row

from shared.errors import JobyardError
from shared.settings import Settings

_READ = """
SELECT coalesce(bytes, 0), coalesce(files, 0), coalesce(max_bytes, %(max_bytes)s), coalesce(max_files, %(max_files)s)
FROM users LEFT JOIN storage_usage ON owner_id = users.id WHERE users.id = %(owner_id)s
"""


_BOUND_WAITING = "SET LOCAL lock_timeout = '2s'"


class QuotaExceeded(JobyardError):
    """Is raised when an owner would have more stored than they may."""

    status = 413
    code = "quota_exceeded"
    title = "Quota exceeded"


@dataclass(frozen=True, slots=True)
class Quota:
    """Is what an owner has stored or reserved, and what they may; 0 means that there is no limit."""

    bytes: int
    files: int
    max_bytes: int
    max_files: int

    def require_room(self) -> None:
        """Raise `QuotaExceeded` when there is more than there may be."""
        if self.max_files and self.files > self.max_files:
            raise QuotaExceeded(f"You can have {self.max_files} files at most.")
        if self.max_bytes and self.bytes > self.max_bytes:
            raise QuotaExceeded(f"You can have {self.max_bytes} bytes at most; this would make it {self.bytes}.")


async def bound_waiting(connection: AsyncConnection[Any]) -> None:
    """Let this transaction wait for its owner's usage no longer than 2 s.

    Whoever waits holds a connection: others would run out of them before the usage that somebody froze on is free.
    """
    await connection.execute(_BOUND_WAITING)


async def read_quota(connection: AsyncConnection[Any], settings: Settings, owner_id: UUID) -> Quota | None:
    """Read an owner's quota; None when there is no such user."""
    async with connection.cursor(row_factory=args_row(Quota)) as cursor:
        await cursor.execute(_READ, _parameters(settings, owner_id), prepare=True)
        return await cursor.fetchone()


async def require_room(connection: AsyncConnection[Any], settings: Settings, owner_id: UUID) -> None:
    """Make sure that what this transaction stored fits; raises `QuotaExceeded`."""
    quota = await read_quota(connection, settings, owner_id)
    if quota is not None:
        quota.require_room()


def require_room_in_worker(connection: Connection[Any], settings: Settings, owner_id: UUID) -> None:
    """Make sure that what this transaction stored fits; raises `QuotaExceeded`."""
    with connection.cursor(row_factory=args_row(Quota)) as cursor:
        quota = cursor.execute(_READ, _parameters(settings, owner_id)).fetchone()
    if quota is not None:
        quota.require_room()


def _parameters(settings: Settings, owner_id: UUID) -> dict[str, Any]:
    return {"owner_id": owner_id, "max_bytes": settings.owner_max_bytes, "max_files": settings.owner_max_files}
