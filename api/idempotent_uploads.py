"""Doing a repeated upload once: its key is held by a lease while the body arrives, in the database's time.

A process that dies leaves a lease that lapses within a minute. Then another request takes the key over under a claim of
its own, and the first, should it still live, can no longer write: its last statement is guarded by its claim.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import LiteralString

import psycopg
from fastapi import Response
from psycopg import AsyncConnection
from psycopg_pool import PoolTimeout

from api.idempotency import IdempotencyKeyInUse, KeptAnswer, claim, keep
from api.idempotency_key import RequestKey
from api.resources import LedgerPool
from api.uploads import Form

logger = logging.getLogger(__name__)

LEASE_SECONDS = 60
RENEW_SECONDS = 20

_MINE: LiteralString = """
WHERE owner_id = %(owner_id)s AND route = %(route)s AND key = %(key)s AND claim_id = %(claim_id)s AND status IS NULL
"""
_RENEW: LiteralString = f"""
UPDATE idempotency_keys SET lease_expires_at = clock_timestamp() + make_interval(secs => %(seconds)s::float8) {_MINE}
"""  # noqa: S608 - constants of this module
_RELEASE: LiteralString = f"DELETE FROM idempotency_keys {_MINE}"  # noqa: S608 - constants of this module


class HeldKey:
    """Is the key of an upload while its body arrives; without a key all that it does is nothing."""

    def __init__(self, key: RequestKey | None, kept: KeptAnswer | None) -> None:
        self._key = key
        self._kept = kept

    @property
    def answered(self) -> bool:
        """Whether the upload was answered before: then its body is only compared."""
        return self._kept is not None

    async def replay(self, form: Form) -> Response | None:
        """Give the first answer if there is one; raises `IdempotencyKeyReused`, `NothingStored` for another form."""
        if self._key is None or self._kept is None:
            return None
        await form.keep()
        return self._kept.replay(_with_form(self._key, form))

    async def keep(self, connection: AsyncConnection[object], form: Form, answer: Response) -> None:
        """Keep the answer in the transaction of the rows; raises `IdempotencyKeyInUse` when the lease was lost."""
        if self._key is not None:
            await keep(connection, _with_form(self._key, form), answer)


def _with_form(key: RequestKey, form: Form) -> RequestKey:
    files = [[file.name, file.sha256 if file.counts else file.refusal and file.refusal.code] for file in form.files]
    return key.with_body({"files": files, "texts": form.texts})


@contextlib.asynccontextmanager
async def hold(ledger: LedgerPool, key: RequestKey | None) -> AsyncGenerator[HeldKey]:
    """Hold a key within this block; it is free again when the block raises.

    Raises `IdempotencyKeyInUse` while another upload holds it.
    """
    if key is None:
        yield HeldKey(None, None)
        return
    try:
        kept = await _claim(ledger, key)
        async with _renewed(ledger, key) if kept is None else contextlib.nullcontext():
            yield HeldKey(key, kept)
    except BaseException:
        # After a COMMIT without an answer the row may have one: then it stays. A rival's row stays in any case.
        await asyncio.shield(_execute(ledger, _RELEASE, key))
        raise


async def _claim(ledger: LedgerPool, key: RequestKey) -> KeptAnswer | None:
    try:
        async with ledger.connection() as connection, connection.transaction():
            return await claim(connection, key, LEASE_SECONDS)
    except IdempotencyKeyInUse as error:
        # The body, which may be large, is not waited for.
        error.headers["Connection"] = "close"
        raise


@contextlib.asynccontextmanager
async def _renewed(ledger: LedgerPool, key: RequestKey) -> AsyncGenerator[None]:
    done = asyncio.Event()
    renewing = asyncio.create_task(_renew(ledger, key, done))
    try:
        yield
    finally:
        done.set()
        await renewing


async def _renew(ledger: LedgerPool, key: RequestKey, done: asyncio.Event) -> None:
    while not await _is_set_within(done, RENEW_SECONDS):
        if await _execute(ledger, _RENEW, key) == 0:
            logger.warning("an upload outlived its lease; another request has its idempotency key")
            return


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def _execute(ledger: LedgerPool, statement: LiteralString, key: RequestKey) -> int | None:
    try:
        async with ledger.connection() as connection:
            return (await connection.execute(statement, key.columns() | {"seconds": LEASE_SECONDS})).rowcount
    except (psycopg.Error, PoolTimeout) as error:
        logger.warning("the lease of an idempotency key was left as it is: %s", type(error).__name__)
        return None
