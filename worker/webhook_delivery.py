"""Making one attempt at a delivery: is it its turn, send it, write down what came of it.

read ─► gone, settled, disabled: over ─► an earlier one waits, the endpoint rests: Snooze ─► POST ─► delivered
                                                                                        └─► Retry | Fail
A test waits for nothing but a place, and is not tried again.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NoReturn
from uuid import UUID

from shared.job_context import JobContext
from shared.job_outcome import Fail, Retry, Snooze
from shared.settings import Settings
from shared.webhook_signing import headers
from worker.handler_database import HandlerDatabase, database_of_this_loop
from worker.places import place
from worker.webhook_ledger import ASKED_TO_WAIT, REFUSED, Attempt, Pending, WebhookLedger
from worker.webhook_request import Answer, NotAnswered, post
from worker.webhook_schedule import MOST_ATTEMPTS, parse_retry_after, pause_after, spread

logger = logging.getLogger(__name__)

_USER_AGENT = "Jobyard/1"
_GONE = 410
_ASKING_FOR_TIME = frozenset((429, 503))
_UNAVAILABLE = frozenset((429, 502, 503, 504))
_SHORTEST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 300.0
_BUSY_SECONDS = 3.0
_PLACE_PAUSES_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16)


async def deliver(delivery_id: UUID, context: JobContext) -> tuple[str, int | None]:
    """Make an attempt; gives the state in which the delivery now is and the status that was answered.

    Raises `Snooze` while it is not its turn, `Retry` and `Fail` when it was not taken, `Cancelled`.
    """
    database = database_of_this_loop(context.settings, "jobyard-webhooks")
    ledger = WebhookLedger(context, database, delivery_id)
    pending = await ledger.read()
    if pending is None:
        return "gone", None
    if pending.state != "pending":
        return pending.state, None
    if pending.disabled:
        await ledger.cancel()
        return "cancelled", None
    if not pending.is_test:
        await _wait_for_turn(pending, ledger)
    try:
        async with _place(ledger, database, context.settings):
            if pending.rests and not pending.is_test and not await ledger.probe(pending.endpoint_id):
                await _put_off(ledger, _SHORTEST_WAIT_SECONDS)
            answer = await _send(pending, delivery_id, context.settings)
    except NotAnswered as error:
        raise await _fail(pending, ledger, context, error.word, None) from None
    if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of statuses that says it was taken
        made = Attempt(pending.attempts + 1, pending.url, answer.status, answer.text)
        await ledger.delivered(made, rested=pending.rests)
        return "delivered", answer.status
    raise await _fail(pending, ledger, context, _word_for(answer.status), answer)


async def _wait_for_turn(pending: Pending, ledger: WebhookLedger) -> None:
    waits = [wait for wait in (pending.rest_seconds, pending.host_seconds) if wait is not None and wait > 0]
    if pending.earlier_seconds is not None:
        waits.append(pending.earlier_seconds)
    if waits:
        # Looked at again in good time, whatever was written: what it waits for may come to an end otherwise.
        await _put_off(ledger, min(max(*waits, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS))


async def _put_off(ledger: WebhookLedger, seconds: float) -> NoReturn:
    delay = spread(seconds)
    await ledger.put_off(delay)
    raise Snooze(delay)


@asynccontextmanager
async def _place(ledger: WebhookLedger, database: HandlerDatabase, settings: Settings) -> AsyncGenerator[None]:
    # Half of a worker's slots, so that receivers that hang leave the others. Most deliveries take some milliseconds:
    # it pays to wait for a place as long as these take.
    for pause in _PLACE_PAUSES_SECONDS:
        with place(database, "webhooks", max(1, settings.worker_concurrency // 2)) as has_place:
            if has_place:
                yield
                return
        await asyncio.sleep(pause)
    await _put_off(ledger, _BUSY_SECONDS)


async def _send(pending: Pending, delivery_id: UUID, settings: Settings) -> Answer:
    body = pending.body.encode()
    signed = headers(pending.secrets, delivery_id, int(time.time()), body)
    named = {"Content-Type": "application/json", "User-Agent": _USER_AGENT}
    return await post(pending.url, named | signed, body, settings)


async def _fail(
    pending: Pending, ledger: WebhookLedger, context: JobContext, word: str, answer: Answer | None
) -> Retry | Fail:
    number = pending.attempts + 1
    retry_after = parse_retry_after(answer.retry_after) if answer and answer.status in _ASKING_FOR_TIME else None
    if retry_after is not None and not pending.is_test:
        word = ASKED_TO_WAIT
    delay = pause_after(number, retry_after)
    last = pending.is_test or word == "gone" or number >= MOST_ATTEMPTS or context.is_last_attempt
    made = Attempt(number, pending.url, answer and answer.status, answer and answer.text, word)
    if await ledger.failed(made, delay=delay, retry_after=retry_after, last=last):
        logger.warning("webhook %s is disabled, after %s", pending.endpoint_id, word)
    detail = f"{answer.status} was answered" if answer else word
    return Fail(word, f"The last attempt: {detail}.") if last else Retry(delay, f"{word}: {detail}")


def _word_for(status: int) -> str:
    if status == _GONE:
        return "gone"
    if status in _UNAVAILABLE:
        return "unavailable"
    return "redirect" if 300 <= status < 400 else REFUSED  # noqa: PLR2004 - the class of redirects
