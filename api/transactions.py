"""What transactions of several kinds share: the psycopg connection below a session, the lock on an owner."""

from typing import Any, cast
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.models import User


async def session_connection(session: AsyncSession) -> AsyncConnection[Any]:
    """Give the driver's connection of a session, flushed so that statements on it see the session's rows."""
    await session.flush()
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    return cast("AsyncConnection[Any]", raw.driver_connection)


async def lock_owner(session: AsyncSession, owner_id: UUID) -> None:
    """Have rivals for an owner's last place wait for each other; who only refers to the owner (a new job) does not."""
    await session.execute(select(User.id).where(User.id == owner_id).with_for_update(key_share=True))
