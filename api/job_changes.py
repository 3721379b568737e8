"""Who waits for which job in this process, and how they learn of changes without holding a database connection.

Changes come as whole frames over one Redis subscription per process. Once a second one look into the ledger finds what
was missed, so a lost message, or no Redis at all, costs those who wait at most that second. A server that stops lets
all of them go.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Generator, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.broadcast_room import Broadcast, BroadcastRoom
from api.change_channel import ChangeChannel
from api.job_feeds import Feed
from api.job_frames import frame_of
from api.ledger_look import LedgerLook
from api.watched import Watched
from shared.job_row import JobRow
from shared.settings import Settings


class JobChanges:
    """Opens feeds and gives them what changes. `stopping` is set when the server begins to stop: nobody waits then."""

    def __init__(self, settings: Settings, ledger: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]) -> None:
        self._retention = settings.job_retention
        self.watched = Watched()
        self._look = LedgerLook(self.watched, ledger, self._retention)
        self.broadcasts = BroadcastRoom()
        self._channel = ChangeChannel(settings, self.watched, self._look, self.broadcasts)
        self._ledger = ledger
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def feed(self, owner_id: UUID) -> Generator[Feed]:
        """Open a feed of an owner's jobs for this block; it wants nothing yet."""
        with self._opened(self.watched.open(owner_id)) as feed:
            yield feed

    @contextlib.contextmanager
    def watch(self, owner_id: UUID, job_id: UUID) -> Generator[Feed]:
        """Open a feed of one job for this block; begin before reading the row, or a change in between is missed."""
        with self._opened(self.watched.open(owner_id, job_id)) as feed:
            feed.watch_jobs([job_id])
            yield feed

    @contextlib.contextmanager
    def _opened(self, feed: Feed) -> Generator[Feed]:
        if self.stopping.is_set():
            feed.let_go("stopping")
        try:
            yield feed
        finally:
            self.watched.close(feed)

    def announce(self, rows: Sequence[JobRow]) -> None:
        """Tell all processes that jobs now are as these rows say; call it after the commit."""
        for row in rows:
            self.watched.deliver_news(frame_of(row, self._retention))
        self._channel.tell_rows(rows)

    def announce_new(self, owner_id: UUID) -> None:
        """Tell whoever watches an owner that jobs of theirs came to be; call it after the commit.

        It costs next to nothing while nobody watches.
        """
        if owner_id in self.watched.owners:
            self._look.look_soon(owner_id=owner_id)
        self._channel.tell_news(owner_id)

    def announce_broadcast(self, broadcast: Broadcast) -> None:
        """Tell every open WebSocket, in all processes, what an operator says; call it after the commit."""
        self.broadcasts.tell(broadcast)
        self._channel.tell_broadcast(broadcast)

    def stop(self) -> None:
        """Let all feeds go, those to come included."""
        self.stopping.set()
        self.watched.let_all_go("stopping")

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Give what has to run as long as the process serves."""
        return [
            self._channel.listen_for_ever(),
            self._channel.send_for_ever(),
            self._channel.renew_interest_for_ever(),
            self._look.look_for_ever(),
            self._look.follow_news(),
            self.broadcasts.look_for_ever(self._ledger),
        ]

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._channel.close()
