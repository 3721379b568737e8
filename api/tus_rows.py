"""The rows of resumable uploads: what has arrived, and which request may append.

A request that appends first sets the row's `claim_id` to its own: the newest wins, and no dead one holds a lock. What
an elder one has still under way finds no row to move then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from fastapi import Response
from psycopg import AsyncConnection
from psycopg.rows import class_row

from api.idempotency import once
from api.idempotency_key import RequestKey
from api.resources import Resources
from api.tus_headers import PREFIX, Metadata
from shared.ids import new_id
from shared.quota import bound_waiting, require_room

_KEPT: LiteralString = "clock_timestamp() + make_interval(hours => %(hours)s)"
_MINE: LiteralString = "id = %(id)s AND owner_id = %(owner_id)s AND length IS NOT NULL"

_BEGIN: LiteralString = f"""
INSERT INTO uploads (id, owner_id, size, length, name, description, announced, kept_seconds, claim_id, expires_at)
VALUES (
    %(id)s, %(owner_id)s, %(length)s, %(length)s, %(name)s, %(description)s, %(raw)s, %(kept)s, %(claim_id)s, {_KEPT}
)
"""  # noqa: S608 - constants of this module
_READ: LiteralString = f"""
SELECT length, received, announced, expires_at, expires_at <= clock_timestamp() AS expired, false AS finished
FROM uploads WHERE {_MINE}
UNION ALL
SELECT size, size, 'filename ' || translate(encode(convert_to(name, 'UTF8'), 'base64'), E'\n', ''), expires_at,
    false, true
FROM files
WHERE id = %(id)s AND owner_id = %(owner_id)s AND purpose = 'upload'
"""  # noqa: S608 - constants of this module
_CLAIM: LiteralString = f"""
UPDATE uploads SET claim_id = %(claim_id)s, expires_at = {_KEPT}
WHERE {_MINE} AND received = %(offset)s AND received < length AND received + %(coming)s <= length
AND expires_at > clock_timestamp()
RETURNING length, parts
"""  # noqa: S608 - constants of this module
_ADD: LiteralString = f"""
WITH moved AS (
    UPDATE uploads SET received = received + %(size)s, parts = parts + %(count)s, expires_at = {_KEPT}
    WHERE id = %(id)s AND claim_id = %(claim_id)s AND received = %(offset)s
    RETURNING id, parts - %(count)s AS first
)
INSERT INTO upload_parts (upload_id, number, blob_id, size)
SELECT moved.id, moved.first + place - 1, blob_id, part.size
FROM moved, unnest(%(blob_ids)s::uuid[], %(sizes)s::bigint[]) WITH ORDINALITY AS part(blob_id, size, place)
"""  # noqa: S608 - constants of this module
_LOCK: LiteralString = f"""
SELECT FROM uploads WHERE {_MINE} AND (%(claim_id)s::uuid IS NULL OR claim_id = %(claim_id)s) FOR UPDATE
"""
_PARTS: LiteralString = "SELECT blob_id, size FROM upload_parts WHERE upload_id = %(id)s ORDER BY number"
_DELETE: LiteralString = f"DELETE FROM uploads WHERE {_MINE}"  # noqa: S608 - constants of this module
_CLAIM_WHOLE: LiteralString = f"""
UPDATE uploads SET claim_id = %(claim_id)s, expires_at = {_KEPT} WHERE {_MINE} AND received = length
RETURNING id, claim_id, name, description, kept_seconds
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True)
class UploadState:
    """Is how far an upload is; `finished` means that it is a file."""

    length: int
    received: int
    announced: str | None
    expires_at: datetime
    expired: bool
    finished: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """Is a request's right to append to an upload from an offset on, until another request takes it."""

    id: UUID
    claim_id: UUID
    offset: int
    length: int
    parts: int


@dataclass(frozen=True, slots=True)
class Part:
    """Is a stored piece of an upload."""

    blob_id: UUID
    size: int


@dataclass(frozen=True, slots=True)
class WholeUpload:
    """Is an upload of which every byte is stored, claimed in order to become a file."""

    id: UUID
    claim_id: UUID
    name: str | None
    description: str | None
    kept_seconds: int


class TusRows:
    """Keeps the rows of an owner's resumable uploads."""

    def __init__(self, resources: Resources, owner_id: UUID) -> None:
        self._resources = resources
        self._owner_id = owner_id

    async def begin(
        self, length: int, metadata: Metadata, retention: timedelta, key: RequestKey | None
    ) -> tuple[Claim, Response]:
        """Write down a new upload, whose file is to be kept for so long, and reserve its bytes; once per key.

        Gives the answer too, which is another's, or a refusal, when the key was used before. Raises `QuotaExceeded`,
        `IdempotencyKeyReused`, `IdempotencyKeyInUse`.
        """
        claim = Claim(new_id(), new_id(), 0, length, 0)
        told = {"name": metadata.name, "description": metadata.description, "raw": metadata.raw}
        kept = {"kept": int(retention.total_seconds())}
        values = self._values(claim.id) | told | kept | {"length": length, "claim_id": claim.claim_id}
        async with self._resources.ledger.connection() as connection, connection.transaction():

            async def write() -> Response:
                await bound_waiting(connection)
                await connection.execute(_BEGIN, values)
                await require_room(connection, self._resources.settings, self._owner_id)
                return Response(status_code=201, headers={"Location": f"{PREFIX}/{claim.id}"})

            return claim, await once(connection, key, connection.transaction, write)

    async def read(self, upload_id: UUID) -> UploadState | None:
        """Read how far an upload is; None when there is none."""
        async with self._resources.ledger.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(UploadState))
            return await (await cursor.execute(_READ, self._values(upload_id))).fetchone()

    async def claim(self, upload_id: UUID, offset: int, coming: int) -> Claim | None:
        """Claim an upload that is at this offset and has room for so many bytes; None when it is not."""
        claim_id = new_id()
        values = self._values(upload_id) | {"claim_id": claim_id, "offset": offset, "coming": coming}
        async with self._resources.ledger.connection() as connection:
            row = await (await connection.execute(_CLAIM, values)).fetchone()
        return None if row is None else Claim(upload_id, claim_id, offset, *row)

    async def add(self, claim: Claim, offset: int, parts: Sequence[Part]) -> bool:
        """Append stored parts to an upload that is at this offset; False when the claim was lost."""
        added = {
            "blob_ids": [part.blob_id for part in parts],
            "sizes": [part.size for part in parts],
            "size": sum(part.size for part in parts),
            "count": len(parts),
        }
        values = self._values(claim.id) | {"claim_id": claim.claim_id, "offset": offset} | added
        async with self._resources.ledger.connection() as connection:
            return (await connection.execute(_ADD, values)).rowcount == len(parts)

    async def claim_whole(self, upload_id: UUID) -> tuple[WholeUpload, list[Part]] | None:
        """Claim an upload of which every byte is stored, to make it a file; None when it is not so far."""
        values = self._values(upload_id) | {"claim_id": new_id()}
        async with self._resources.ledger.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=class_row(WholeUpload))
            whole = await (await cursor.execute(_CLAIM_WHOLE, values)).fetchone()
            if whole is None:
                return None
            return whole, await _parts(connection, values)

    async def delete(self, upload_id: UUID, claim_id: UUID | None = None) -> list[Part] | None:
        """Delete an upload and give the parts that it had; None when there is none, or another claim than that given.

        Without a claim it is deleted whoever appends to it.
        """
        values = self._values(upload_id) | {"claim_id": claim_id}
        async with self._resources.ledger.connection() as connection, connection.transaction():
            # First the lock: only behind it all parts of a rival that appends can be seen.
            if (await connection.execute(_LOCK, values)).rowcount == 0:
                return None
            parts = await _parts(connection, values)
            await connection.execute(_DELETE, values)
        return parts

    def _values(self, upload_id: UUID) -> dict[str, Any]:
        hours = self._resources.settings.upload_expiry_hours
        return {"id": upload_id, "owner_id": self._owner_id, "hours": hours}


async def _parts(connection: AsyncConnection[Any], values: dict[str, Any]) -> list[Part]:
    cursor = connection.cursor(row_factory=class_row(Part))
    return await (await cursor.execute(_PARTS, values)).fetchall()
