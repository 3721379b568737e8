"""What owners may have stored, as operators see and set it."""

from typing import Annotated, Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.resources import Resources
from shared.errors import JobyardError
from shared.models import SYSTEM_OWNER_ID
from shared.quota import read_quota

_MOST = 2**63 - 1
_EXAMPLE: JsonDict = {"max_bytes": 1073741824, "max_files": None}

Limit = Annotated[int, Field(strict=True, ge=0, le=_MOST)]


class UserNotFound(JobyardError):
    """Is raised for a user that does not exist."""

    status = 404
    code = "user_not_found"
    title = "User not found"


class QuotaBody(BaseModel):
    """Sets what a user may have stored: null is the setting's default, 0 no limit."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    max_bytes: Limit | None
    max_files: Limit | None


class Usage(BaseModel):
    """Is what an owner has stored, uploads under way included, and what they may; null is no limit."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"max_bytes": 1073741824, "bytes": 482113, "max_files": None, "files": 1}}
    )

    max_bytes: int | None
    bytes: int
    max_files: int | None
    files: int


class UserQuota(QuotaBody):
    """Is what was set for a user, and what follows from that."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                **_EXAMPLE,
                "user_id": "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a",
                "usage": {"max_bytes": 1073741824, "bytes": 482113, "max_files": None, "files": 1},
            }
        },
    )

    user_id: UUID
    usage: Usage


class _Override(BaseModel):
    user_id: UUID
    max_bytes: int | None
    max_files: int | None


# Of those who can sign in: the system's own jobs must never be refused for want of room.
_READ: LiteralString = "SELECT id AS user_id, max_bytes, max_files FROM users WHERE id = %(id)s AND id <> %(system)s"
_SET: LiteralString = """
UPDATE users SET max_bytes = %(max_bytes)s, max_files = %(max_files)s WHERE id = %(id)s AND id <> %(system)s
RETURNING id AS user_id, max_bytes, max_files
"""


async def read_usage(resources: Resources, user_id: UUID) -> Usage:
    """Read what a user has stored and may have; raises `UserNotFound`."""
    async with resources.ledger.connection() as connection:
        quota = await read_quota(connection, resources.settings, user_id)
    if quota is None:
        raise UserNotFound("No such user.")
    return Usage(
        max_bytes=quota.max_bytes or None, bytes=quota.bytes, max_files=quota.max_files or None, files=quota.files
    )


async def read_user_quota(resources: Resources, user_id: UUID) -> UserQuota:
    """Read what was set for a user; raises `UserNotFound`."""
    return await _answer(resources, user_id, _READ, {"id": user_id})


async def set_user_quota(resources: Resources, user_id: UUID, body: QuotaBody) -> UserQuota:
    """Set what a user may have; what is stored beyond it stays. Raises `UserNotFound`."""
    return await _answer(resources, user_id, _SET, {"id": user_id, **body.model_dump()})


async def _answer(
    resources: Resources, user_id: UUID, statement: LiteralString, parameters: dict[str, Any]
) -> UserQuota:
    async with resources.ledger.connection() as connection:
        cursor = connection.cursor(row_factory=class_row(_Override))
        found = await (await cursor.execute(statement, parameters | {"system": SYSTEM_OWNER_ID})).fetchone()
    if found is None:
        raise UserNotFound("No such user.")
    return UserQuota(**found.model_dump(), usage=await read_usage(resources, user_id))
