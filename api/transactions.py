"""One transaction for ORM rows and a job: the psycopg connection below a session."""

from typing import Any, cast

from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession


async def session_connection(session: AsyncSession) -> AsyncConnection[Any]:
    """Give the driver's connection of a session, flushed so that statements on it see the session's rows."""
    await session.flush()
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    return cast("AsyncConnection[Any]", raw.driver_connection)
