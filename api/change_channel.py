"""The one subscription of a web process to Redis, and what it says there itself. All of it are hints.

Nothing here is waited for by a request: what is to be said is sent by a task, many messages at once.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, cast
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from api.broadcast_room import CHANNEL as BROADCAST_CHANNEL
from api.broadcast_room import Broadcast, BroadcastRoom
from api.job_frames import frame_of_json
from api.ledger_look import LedgerLook
from api.watched import Watched
from shared.job_events import (
    CHANNEL,
    INTEREST_CHANNEL,
    NEWS_CHANNEL,
    PAUSE_SECONDS,
    TIMEOUT_SECONDS,
    decode_head,
    decode_owners,
    encode_event,
    encode_owners,
)
from shared.job_row import JobRow
from shared.settings import Settings

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
SILENCE_SECONDS = 10.0
"""A subscription that says nothing for so long is asked whether it is still there, and has as long again to answer."""
INTEREST_SECONDS = 5.0
INTEREST_LASTS_SECONDS = 3 * INTEREST_SECONDS
MOST_UNSENT = 10_000
MESSAGES_AT_ONCE = 500


class ChangeChannel:
    """Hears of changes and tells of them; with Redis away it tries again, and nothing is waited for meanwhile."""

    def __init__(self, settings: Settings, watched: Watched, look: LedgerLook, room: BroadcastRoom) -> None:
        self._retention = settings.job_retention
        self._watched = watched
        self._look = look
        self._room = room
        self._name = uuid4().hex
        self._interest: dict[UUID, float] = {}
        self._unsent: deque[tuple[str, bytes]] = deque(maxlen=MOST_UNSENT)
        self._news: set[UUID] = set()
        self._to_send = asyncio.Event()
        watched.on_new_owner = self._to_send.set
        self._redis = Redis.from_url(
            settings.redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=None,
        )

    def tell_rows(self, rows: Iterable[JobRow]) -> None:
        """Tell other processes that jobs now are as these rows say."""
        self._unsent.extend((CHANNEL, encode_event(row, self._retention)) for row in rows)
        self._to_send.set()

    def tell_broadcast(self, broadcast: Broadcast) -> None:
        """Tell other processes what an operator tells everybody."""
        self._unsent.append((BROADCAST_CHANNEL, broadcast.model_dump_json().encode()))
        self._to_send.set()

    def tell_news(self, owner_id: UUID) -> None:
        """Tell other processes that jobs of an owner came to be, if anybody there watches that owner."""
        if self._interest.get(owner_id, 0.0) > time.monotonic():
            self._news.add(owner_id)
            self._to_send.set()

    async def send_for_ever(self) -> None:
        """Send what is to be said, until cancelled; what cannot be sent is dropped."""
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while messages := self._take_unsent():
                if not await self._send(messages):
                    self._unsent.clear()
                    await asyncio.sleep(PAUSE_SECONDS)

    async def renew_interest_for_ever(self) -> None:
        """Say now and then which owners are watched here, and forget who was watched elsewhere, until cancelled."""
        while True:
            await asyncio.sleep(INTEREST_SECONDS)
            now = time.monotonic()
            self._interest = {owner_id: until for owner_id, until in self._interest.items() if until > now}
            self._watched.new_owners.update(self._watched.owners)
            self._to_send.set()

    async def listen_for_ever(self) -> None:
        """Hear of changes until cancelled."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL, NEWS_CHANNEL, INTEREST_CHANNEL, BROADCAST_CHANNEL)
                    await self._listen(subscription)
            except (RedisError, OSError) as error:
                logger.warning("no hints, those who wait read the ledger: %s", type(error).__name__)
            except Exception:
                # Whatever it is: without hints everybody here would be late for good.
                logger.exception("the subscription ended, those who wait read the ledger")
            await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()

    def hear(self, channel: bytes, message: bytes) -> None:
        """Take a message; one that cannot be read is left alone."""
        try:
            if channel == CHANNEL.encode():
                self._hear_change(message)
            elif channel == BROADCAST_CHANNEL.encode():
                self._room.hint(message)
            else:
                sender, owner_ids = decode_owners(message)
                if sender != self._name:
                    self._hear_owners(channel, owner_ids)
        except ValueError:
            logger.warning("a message of %s bytes is none of ours", len(message))

    def _hear_change(self, message: bytes) -> None:
        head = decode_head(message)
        if not self._watched.is_news(head):
            return
        if head.frame_at == len(message):
            self._look.look_soon(job_id=head.job_id)
        else:
            self._watched.deliver_news(frame_of_json(head.owner_id, head.silent, message[head.frame_at :]))

    def _hear_owners(self, channel: bytes, owner_ids: Sequence[UUID]) -> None:
        if channel == NEWS_CHANNEL.encode():
            for owner_id in owner_ids:
                self._look.look_soon(owner_id=owner_id)
        else:
            until = time.monotonic() + INTEREST_LASTS_SECONDS
            self._interest.update(dict.fromkeys(owner_ids, until))

    async def _listen(self, subscription: PubSub) -> None:
        asked = False
        while True:
            message: dict[str, Any] | None = await subscription.get_message(timeout=SILENCE_SECONDS)
            if message is not None:
                asked = False
                if message["type"] == "message":
                    self.hear(cast("bytes", message["channel"]), cast("bytes", message["data"]))
            elif asked:
                raise TimeoutError
            else:
                # A half-open connection must not silence the hints for good.
                await subscription.ping()
                asked = True

    def _take_unsent(self) -> list[tuple[str, bytes]]:
        messages = [self._unsent.popleft() for _ in range(min(len(self._unsent), MESSAGES_AT_ONCE))]
        for channel, owners in ((NEWS_CHANNEL, self._news), (INTEREST_CHANNEL, self._watched.new_owners)):
            some = [owners.pop() for _ in range(min(len(owners), MESSAGES_AT_ONCE))]
            if some:
                messages.append((channel, encode_owners(self._name, some)))
        return messages

    async def _send(self, messages: Iterable[tuple[str, bytes]]) -> bool:
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, message in messages:
                    pipeline.publish(channel, message)
                await pipeline.execute()
        except (RedisError, OSError) as error:
            logger.warning("changes were not told to other processes: %s", type(error).__name__)
            return False
        return True
