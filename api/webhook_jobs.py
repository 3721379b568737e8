"""Jobs that tell their end at a URL of their own, `webhook_url`.

What goes there is signed with the secret of their owner's endpoint without a URL, which is made when first needed.
"""

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from shared.ids import new_id
from shared.job_queue import Enqueued, NewJob, enqueue
from shared.webhook_signing import new_secret

_MAKE = """
INSERT INTO webhook_endpoints (id, owner_id, secret) SELECT %s, %s, %s
WHERE NOT EXISTS (SELECT FROM webhook_endpoints WHERE owner_id = %s AND url IS NULL)
ON CONFLICT (owner_id) WHERE url IS NULL DO NOTHING
"""


async def enqueue_told(connection: AsyncConnection[Any], new: NewJob) -> Enqueued:
    """Write a job down as `enqueue` does, after making sure that somebody can sign what tells of its end."""
    if new.webhook_url is not None:
        await make_for_jobs(connection, new.owner_id)
    return await enqueue(connection, new)


async def make_for_jobs(connection: AsyncConnection[Any], owner_id: UUID) -> None:
    """Make an owner's endpoint without a URL, unless there is one."""
    await connection.execute(_MAKE, (new_id(), owner_id, new_secret(), owner_id), prepare=True)
