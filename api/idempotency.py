"""Doing a repeated request once: the row of its key is written in the transaction of the work itself.

How a route joins: one that enqueues a job calls `api.job_actions.enqueue_once`, any other `once` within its
transaction; `key` comes from `JsonKeyDep`. Uploads, which take
long, hold their key by a lease instead: `api.idempotent_uploads`.

A rival with the same key waits at its INSERT for the end of the first one's transaction, then finds the answer there.
Kept for 24 hours are answers of success and refusals by the domain (`JobyardError` below 500). Whatever else goes wrong
rolls the row back with the work, so that the next request with the key is a first one.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Response
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable
from psycopg.rows import args_row

from api.idempotency_key import REPLAYED, RequestKey
from api.problems import RETRY_AFTER_SECONDS, domain_problem
from shared.errors import JobyardError

LOCK_TIMEOUT = "5s"
KEPT_HEADERS = ("content-type", "location", "etag", "retry-after", "jobyard-existing")

_BOUND_WAITING = f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"

# A row that is too old, or whose upload lost its lease, counts as absent. One that counts stays locked until the end of
# the transaction, so it can be read without having gone in between.
_CLAIM = """
INSERT INTO idempotency_keys AS kept (owner_id, route, key, body_hash, claim_id, lease_expires_at)
VALUES (%(owner_id)s, %(route)s, %(key)s, %(body_hash)s, %(claim_id)s,
        clock_timestamp() + make_interval(secs => %(lease_seconds)s::float8))
ON CONFLICT (owner_id, route, key) DO UPDATE SET
    body_hash = excluded.body_hash, claim_id = excluded.claim_id, lease_expires_at = excluded.lease_expires_at,
    created_at = excluded.created_at, status = NULL, headers = '{}', body = NULL
WHERE CASE WHEN kept.status IS NULL THEN kept.lease_expires_at <= clock_timestamp()
           ELSE kept.created_at <= now() - interval '24 hours' END
"""

_READ = """
SELECT body_hash, status, headers, body FROM idempotency_keys
WHERE owner_id = %(owner_id)s AND route = %(route)s AND key = %(key)s AND status IS NOT NULL
"""

_KEEP = """
UPDATE idempotency_keys
SET body_hash = %(body_hash)s, status = %(status)s, headers = %(headers)s, body = %(body)s, lease_expires_at = NULL
WHERE owner_id = %(owner_id)s AND route = %(route)s AND key = %(key)s AND claim_id = %(claim_id)s AND status IS NULL
"""


class IdempotencyKeyReused(JobyardError):
    """Is raised when a key comes again with another body."""

    status = 422
    code = "idempotency_key_reused"
    title = "Idempotency key reused"


class IdempotencyKeyInUse(JobyardError):
    """Is raised while another request with the same key is under way."""

    status = 409
    code = "idempotency_key_in_use"
    title = "Idempotency key in use"

    def __init__(self) -> None:
        super().__init__(
            "Another request with this key is under way; ask again later.",
            headers={"Retry-After": RETRY_AFTER_SECONDS},
        )


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """Is the answer that the first request got."""

    body_hash: bytes
    status: int
    headers: list[str]
    body: bytes

    def replay(self, key: RequestKey) -> Response:
        """Give the answer again; raises `IdempotencyKeyReused` when this request has another body."""
        if key.body_hash != self.body_hash:
            raise IdempotencyKeyReused(
                "The key was used for a request with another body.", pointer="header/idempotency-key"
            )
        headers = dict(header.split(": ", 1) for header in self.headers)
        return Response(self.body, self.status, headers | {REPLAYED: "true"})


async def once(
    connection: AsyncConnection[Any],
    key: RequestKey | None,
    savepoint: Callable[[], AbstractAsyncContextManager[object]],
    work: Callable[[], Awaitable[Response]],
) -> Response:
    """Do the work and keep its answer, or give the answer kept for this key; without a key, just do the work.

    Call it inside the transaction of the work, and answer after the commit; `savepoint` begins a nested one. From then
    on whatever waits for a lock in it waits no longer than 5 s, too.
    Raises `IdempotencyKeyReused`, `IdempotencyKeyInUse`.
    """
    if key is None:
        return await work()
    kept = await claim(connection, key)
    if kept is not None:
        return kept.replay(key)
    try:
        async with savepoint():
            answer = await work()
    except JobyardError as error:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        answer = domain_problem(error)
    await keep(connection, key, answer)
    return answer


async def claim(
    connection: AsyncConnection[Any], key: RequestKey, lease_seconds: float | None = None
) -> KeptAnswer | None:
    """Take a key in a transaction: None when it is this request's now, by a lease if seconds are given.

    Raises `IdempotencyKeyInUse`, after up to 5 s of waiting, while another request has it.
    """
    await connection.execute(_BOUND_WAITING)
    values = key.columns() | {"body_hash": key.body_hash, "lease_seconds": lease_seconds}
    try:
        cursor = await connection.execute(_CLAIM, values, prepare=True)
    except LockNotAvailable as error:
        raise IdempotencyKeyInUse from error
    if cursor.rowcount == 1:
        return None
    async with connection.cursor(row_factory=args_row(KeptAnswer)) as reading:
        await reading.execute(_READ, key.columns(), prepare=True)
        kept = await reading.fetchone()
    if kept is None:
        raise IdempotencyKeyInUse
    return kept


async def keep(connection: AsyncConnection[Any], key: RequestKey, answer: Response) -> None:
    """Keep the answer in the transaction of the work; raises `IdempotencyKeyInUse` when another has the key."""
    headers = [f"{name}: {answer.headers[name]}" for name in KEPT_HEADERS if name in answer.headers]
    values = {"body_hash": key.body_hash, "status": answer.status_code, "headers": headers, "body": bytes(answer.body)}
    cursor = await connection.execute(_KEEP, key.columns() | values, prepare=True)
    if cursor.rowcount == 0:
        raise IdempotencyKeyInUse
