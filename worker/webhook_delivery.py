"""Making one attempt at a delivery: is it its turn, send it, write down what came of it.

read ─► gone, settled, disabled: over ─► an earlier one waits, the endpoint rests: Snooze ─► POST ─► delivered
                                                                                        └─► Retry | Fail
"""

import logging
import time
from uuid import UUID

from shared.job_context import JobContext
from shared.job_outcome import Fail, Retry, Snooze
from shared.webhook_signing import headers
from worker.handler_database import database_of_this_loop
from worker.webhook_ledger import ASKED_TO_WAIT, REFUSED, Attempt, Pending, WebhookLedger
from worker.webhook_request import Answer, NotAnswered, post
from worker.webhook_schedule import MOST_ATTEMPTS, parse_retry_after, pause_after, spread

logger = logging.getLogger(__name__)

_USER_AGENT = "Jobyard/1"
_GONE = 410
_ASKING_FOR_TIME = frozenset((429, 503))
_UNAVAILABLE = frozenset((429, 502, 503, 504))
_LONGEST_WAIT_SECONDS = 300.0


async def deliver(delivery_id: UUID, context: JobContext) -> tuple[str, int | None]:
    """Make an attempt; gives the state in which the delivery now is and the status that was answered.

    Raises `Snooze` while it is not its turn, `Retry` and `Fail` when it was not taken, `Cancelled`.
    """
    ledger = WebhookLedger(context, database_of_this_loop(context.settings, "jobyard-webhooks"), delivery_id)
    pending = await ledger.read()
    if pending is None:
        return "gone", None
    if pending.state != "pending":
        return pending.state, None
    if pending.disabled:
        await ledger.cancel()
        return "cancelled", None
    await _wait_for_turn(pending, ledger)
    body = pending.body.encode()
    signed = headers(pending.secrets, delivery_id, int(time.time()), body)
    try:
        answer = await post(
            pending.url,
            {"Content-Type": "application/json", "User-Agent": _USER_AGENT, **signed},
            body,
            context.settings,
        )
    except NotAnswered as error:
        raise await _fail(pending, ledger, context, error.word, None) from None
    if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of statuses that says it was taken
        made = Attempt(pending.attempts + 1, pending.url, answer.status, answer.text)
        await ledger.delivered(made, rested=pending.rests)
        return "delivered", answer.status
    raise await _fail(pending, ledger, context, _word_for(answer.status), answer)


async def _wait_for_turn(pending: Pending, ledger: WebhookLedger) -> None:
    waits = [wait for wait in (pending.earlier_seconds, pending.rest_seconds, pending.host_seconds) if wait is not None]
    wait = max(waits, default=0.0)
    if pending.earlier_seconds is None and wait <= 0:
        if not pending.rests or await ledger.probe(pending.endpoint_id):
            return
        wait = 1.0
    # Looked at again in good time, whatever was written: what it waits for may come to an end otherwise.
    delay = spread(min(max(wait, 1.0), _LONGEST_WAIT_SECONDS))
    await ledger.put_off(delay)
    raise Snooze(delay)


async def _fail(
    pending: Pending, ledger: WebhookLedger, context: JobContext, word: str, answer: Answer | None
) -> Retry | Fail:
    number = pending.attempts + 1
    retry_after = parse_retry_after(answer.retry_after) if answer and answer.status in _ASKING_FOR_TIME else None
    if retry_after is not None:
        word = ASKED_TO_WAIT
    delay = pause_after(number, retry_after)
    last = word == "gone" or number >= MOST_ATTEMPTS or context.is_last_attempt
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
