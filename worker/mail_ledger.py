"""What became of recipients, written down for one attempt.

Conversations end one by one, their rows are written together: whoever waits when a write ends is the next write. Each
is a transaction that first makes sure that this attempt still owns the job.

    queued | deferred ──offer──► sending ──answer──► sent | deferred | bounced
                                         ──doubt───► deferred (at least once) | uncertain (at most once)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb

from shared.job_context import JobContext
from shared.job_outcome import Cancelled
from shared.mail_models import UNSETTLED
from worker.handler_database import HandlerDatabase
from worker.smtp_replies import Reply

Word = Literal["sending", "sent", "deferred", "bounced", "doubtful", "broken", "failed"]
"""What a conversation says of a recipient. The rows decide what a doubt means, and whether what broke leaves one."""

# This attempt still owns the job, and does so until the end of the statement: as `context.guard` in one round trip.
_MINE: LiteralString = """
mine AS MATERIALIZED (
    SELECT cancel_requested FROM jobs
    WHERE id = %(job_id)s AND fence = %(fence)s AND state = 'running' FOR NO KEY UPDATE
)
"""

# A row that is not ours any more (its e-mail or job was cancelled, or it was given to another) stays as it is: all are
# looked at anew once they are locked. What is deferred is due after a pause that doubles with each attempt, with up to
# a quarter more so that a crowd does not come back as one; the last time when it is given up: what is deferred then has
# bounced.
_RECORD: LiteralString = f"""
WITH {_MINE}, outcome AS (
    SELECT * FROM jsonb_to_recordset(%(outcomes)s)
        AS given (id uuid, state text, tried int, code int, enhanced text, reply text)
), judged AS (
    SELECT r.id, o.code, o.enhanced, o.reply, r.attempts + o.tried AS attempts,
           CASE WHEN word = 'doubtful' AND (e.delivery = 'at_most_once' OR over) THEN 'uncertain'
                WHEN word = 'doubtful' THEN 'deferred'
                WHEN word = 'deferred' AND e.cancelled_at IS NOT NULL THEN 'cancelled'
                WHEN word = 'deferred' AND over THEN 'bounced'
                ELSE word END AS state,
           least(ends_at, clock_timestamp() + make_interval(secs =>
               least(%(cap)s, %(backoff)s * 2.0 ^ least(r.attempts + o.tried - 1, 30)) * (1 + random() / 4))) AS due_at
    FROM mine, outcome o JOIN recipients r ON r.id = o.id JOIN emails e ON e.id = r.email_id,
         LATERAL (SELECT coalesce(r.first_tried_at, clock_timestamp()) + make_interval(secs => %(give_up)s) AS ends_at,
                         CASE WHEN o.state <> 'broken' THEN o.state
                              WHEN r.state = 'sending' THEN 'doubtful' ELSE 'deferred' END AS word) AS life,
         LATERAL (SELECT clock_timestamp() >= ends_at OR e.cancelled_at IS NOT NULL AS over) AS age
    WHERE r.state IN ('queued', 'sending', 'deferred')
      AND (r.state = 'sending' OR e.job_id = %(job_id)s)
      AND (o.state <> 'sending' OR (e.cancelled_at IS NULL AND NOT mine.cancel_requested))
    ORDER BY r.id FOR NO KEY UPDATE OF r FOR SHARE OF e
), written AS (
    UPDATE recipients r SET
        state = judged.state, attempts = judged.attempts,
        first_tried_at = coalesce(r.first_tried_at, clock_timestamp()),
        reply_code = judged.code, reply_enhanced = judged.enhanced, reply_text = judged.reply,
        replied_at = clock_timestamp(),
        next_attempt_at = CASE WHEN judged.state = 'deferred' THEN judged.due_at END,
        sent_at = CASE WHEN judged.state = 'sent' THEN clock_timestamp() END
    FROM judged WHERE r.id = judged.id
    RETURNING r.id, r.owner_id, r.address_key, r.address, r.email_id, r.state, r.reply_text
), suppressed AS (
    INSERT INTO suppressions (owner_id, address_key, address, reason, detail, email_id)
    SELECT DISTINCT ON (address_key) owner_id, address_key, address, 'hard_bounce', reply_text, email_id
    FROM written WHERE state = 'bounced' AND id = ANY(%(hard)s) ORDER BY address_key
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT 1 FROM mine), ARRAY(SELECT id FROM written)
"""  # noqa: S608 - a constant of this module

# What an attempt that broke off had handed over may have arrived: it is sent again if its sender chose so, and nobody
# has said since that it should not be.
_BEGIN: LiteralString = f"""
WITH {_MINE}, settled AS (
    UPDATE recipients r SET state = CASE WHEN r.state = 'sending' THEN 'uncertain' ELSE 'suppressed' END,
        next_attempt_at = NULL,
        reply_text = CASE WHEN r.state = 'sending'
            THEN 'The attempt broke off while the message was being handed over: it may have arrived.'
            ELSE r.reply_text END
    FROM emails e, mine WHERE e.job_id = %(job_id)s AND r.email_id = e.id AND (
        r.state = 'sending' AND (e.delivery = 'at_most_once' OR e.cancelled_at IS NOT NULL)
        OR r.state IN ('queued', 'sending', 'deferred') AND EXISTS (
            SELECT 1 FROM suppressions s WHERE s.owner_id = r.owner_id AND s.address_key = r.address_key))
    RETURNING r.id
)
SELECT EXISTS (SELECT 1 FROM mine), ARRAY(SELECT id FROM settled)
"""  # noqa: S608 - a constant of this module

_DUE = """
SELECT r.id FROM recipients r JOIN emails e ON e.id = r.email_id
WHERE e.job_id = %(job_id)s AND r.state IN ('queued', 'sending', 'deferred')
  AND (r.next_attempt_at IS NULL OR r.next_attempt_at <= clock_timestamp())
"""

_COUNT = """
SELECT r.state, count(*), extract(epoch FROM min(r.next_attempt_at) - clock_timestamp())::float8
FROM recipients r JOIN emails e ON e.id = r.email_id WHERE e.job_id = %(job_id)s GROUP BY r.state
"""

_LAST_WORDS = """
SELECT r.reply_code, r.reply_text FROM recipients r JOIN emails e ON e.id = r.email_id
WHERE e.job_id = %(job_id)s AND r.reply_text IS NOT NULL ORDER BY r.replied_at DESC, r.id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Is what is to be written of one recipient; `tried` says that this counts as an attempt."""

    recipient_id: UUID
    state: Word
    reply: Reply
    tried: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """Is how a job's recipients stand: how many in each state; in how many seconds the first deferred one is due."""

    counts: dict[str, int]
    due_in: float | None

    @property
    def unsettled(self) -> int:
        """How many may still get their mail."""
        return sum(self.counts.get(state, 0) for state in UNSETTLED)


class MailLedger:
    """Writes for one attempt. What it raises when the claim is lost, `Cancelled`, everybody who waits gets."""

    def __init__(self, context: JobContext, database: HandlerDatabase) -> None:
        self._context = context
        self._database = database
        self._waiting: list[tuple[Sequence[Outcome], asyncio.Future[set[UUID]]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Settle what an earlier attempt left, and who has been suppressed since."""
        await self._write(_BEGIN, {})

    async def record(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        """Write outcomes, for as long as it takes; gives the recipients for whom that was still ours to do."""
        future: asyncio.Future[set[UUID]] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcomes, future))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await future

    async def defer_all(self, reply: Reply, *, tried: bool) -> None:
        """Defer all that is due: their server cannot be reached."""
        rows = await self._rows(_DUE)
        await self.record([Outcome(row[0], "deferred", reply, tried=tried) for row in rows])

    async def standing(self) -> Standing:
        """Read how the recipients stand."""
        rows = await self._rows(_COUNT)
        due = [row[2] for row in rows if row[0] == "deferred" and row[2] is not None]
        return Standing({row[0]: row[1] for row in rows}, min(due, default=None))

    async def last_words(self) -> str:
        """Read what a server said last."""
        rows = await self._rows(_LAST_WORDS)
        return " ".join(str(part) for part in rows[0] if part is not None) if rows else "nothing was said"

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                written = await self._record([outcome for each, _ in batch for outcome in each])
            except BaseException as error:  # noqa: BLE001 - whoever waits is told, and raises it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for each, future in batch:
                    if not future.done():
                        future.set_result(written & {outcome.recipient_id for outcome in each})
        self._flushing = None

    async def _record(self, outcomes: Sequence[Outcome]) -> set[UUID]:
        settings = self._context.settings
        hard = [each.recipient_id for each in outcomes if each.state == "bounced" and each.reply.hard_bounce]
        values = {
            "outcomes": Jsonb([_plain(outcome) for outcome in outcomes]),
            "hard": hard,
            "backoff": settings.mail_backoff_seconds,
            "cap": settings.mail_backoff_cap_seconds,
            "give_up": settings.mail_give_up.total_seconds(),
        }
        return await self._write(_RECORD, values)

    async def _write(self, statement: LiteralString, values: dict[str, Any]) -> set[UUID]:
        guarded = values | {"job_id": self._context.job_id, "fence": self._context.fence}
        # The server has spoken: losing its answer to a short absence of PostgreSQL would send the message twice.
        [(mine, ids)] = await self._database.insist(statement, guarded)
        if not mine:
            raise Cancelled
        return set(ids)

    async def _rows(self, statement: LiteralString) -> list[Any]:
        return await self._database.insist(statement, {"job_id": self._context.job_id})


def _plain(outcome: Outcome) -> dict[str, object]:
    reply = outcome.reply
    return {
        "id": str(outcome.recipient_id), "state": outcome.state, "tried": int(outcome.tried), "code": reply.code,
        "enhanced": reply.enhanced, "reply": reply.text,
    }  # fmt: skip
