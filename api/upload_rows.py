"""The rows of files that are still arriving: each is written before its blob, so that a blob always has one."""

import logging
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from api.resources import Resources
from shared.errors import JobyardError
from shared.quota import bound_waiting, require_room

logger = logging.getLogger(__name__)

_KEPT: LiteralString = "clock_timestamp() + make_interval(mins => %(grace)s)"
_BEGIN: LiteralString = f"""
INSERT INTO uploads (id, owner_id, size, expires_at) VALUES (%(id)s, %(owner_id)s, %(size)s, {_KEPT})
"""  # noqa: S608 - constants of this module
_RENEW: LiteralString = f"UPDATE uploads SET expires_at = {_KEPT} WHERE id = %(id)s"  # noqa: S608 - constants of this module
_FORGET: LiteralString = "DELETE FROM uploads WHERE id = %(id)s"
_SETTLE: LiteralString = "DELETE FROM uploads WHERE owner_id = %s AND id = ANY(%s)"


class UploadExpired(JobyardError):
    """Is raised when an upload took so long that it was cleaned away."""

    status = 410
    code = "upload_expired"
    title = "Upload expired"


class UploadRows:
    """Keeps the rows of an owner's uploads that come in one request."""

    def __init__(self, resources: Resources, owner_id: UUID) -> None:
        self._resources = resources
        self._owner_id = owner_id

    @property
    def renewed_every(self) -> float:
        """How many seconds may pass until `renew` is due."""
        return self._resources.settings.orphan_grace_minutes * 60 / 4

    async def begin(self, file_id: UUID, size: int) -> None:
        """Write a row that reserves so many bytes; raises `QuotaExceeded`."""
        async with self._resources.ledger.connection() as connection, connection.transaction():
            await bound_waiting(connection)
            await connection.execute(_BEGIN, self._values(file_id) | {"size": size}, prepare=True)
            await require_room(connection, self._resources.settings, self._owner_id)

    async def renew(self, file_id: UUID) -> None:
        """Say that the file is still arriving."""
        async with self._resources.ledger.connection() as connection:
            await connection.execute(_RENEW, self._values(file_id))

    async def forget(self, file_id: UUID) -> None:
        """Delete the row of a file that will not come; when the database is away, `files.clean` does it later."""
        try:
            async with self._resources.ledger.connection() as connection, connection.transaction():
                await bound_waiting(connection)
                await connection.execute(_FORGET, self._values(file_id), prepare=True)
        except (psycopg.Error, PoolTimeout) as error:
            logger.warning("the row of upload %s stays until it expires: %s", file_id, type(error).__name__)

    def _values(self, file_id: UUID) -> dict[str, Any]:
        grace = self._resources.settings.orphan_grace_minutes
        return {"id": file_id, "owner_id": self._owner_id, "grace": grace}


async def settle_uploads(connection: AsyncConnection[Any], owner_id: UUID, file_ids: Sequence[UUID]) -> None:
    """Delete the rows of files that have arrived, in the transaction of the files' rows; raises `UploadExpired`."""
    cursor = await connection.execute(_SETTLE, (owner_id, list(file_ids)), prepare=True)
    if cursor.rowcount != len(file_ids):
        raise UploadExpired("The upload took so long that it was cleaned away.")
