"""Whoever is in the room when a broadcast is sent hears it, once, whether by a hint or from the ledger."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api import broadcast_room
from api.broadcast_room import Broadcast, BroadcastRoom
from shared.ids import new_id

pytestmark = pytest.mark.anyio

_ADD = "INSERT INTO broadcasts (id, message, created_at) VALUES (%s, %s, clock_timestamp() - %s::interval)"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Heard:
    """Is what one listener heard."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._news = asyncio.Event()

    def hear(self, broadcast: Broadcast) -> None:
        self.messages.append(broadcast.message)
        self._news.set()

    async def wait_for(self, count: int) -> list[str]:
        async with asyncio.timeout(30):
            while len(self.messages) < count:
                self._news.clear()
                await self._news.wait()
        return self.messages


@asynccontextmanager
async def looking(room: BroadcastRoom, url: str) -> AsyncGenerator[None]:
    async with AsyncConnectionPool(
        url, connection_class=AsyncConnection[tuple[Any, ...]], min_size=1, open=False, kwargs={"autocommit": True}
    ) as ledger:
        task = asyncio.create_task(room.look_for_ever(ledger))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


def hint(database: psycopg.Connection, message: str, age: str = "0") -> bytes:
    id_ = new_id()
    database.execute(_ADD, (id_, message, age))
    row = database.execute("SELECT created_at FROM broadcasts WHERE id = %s", (id_,)).fetchone()
    assert row is not None
    return Broadcast(id=id_, message=message, created_at=row[0]).model_dump_json().encode()


async def test_the_ledger_tells_what_no_hint_told_and_nothing_twice(
    database: psycopg.Connection, database_url: str
) -> None:
    room, heard = BroadcastRoom(), Heard()
    async with looking(room, database_url):
        with room.listening(heard.hear):
            told = hint(database, "hinted")
            room.hint(told)
            room.hint(told)
            hint(database, "not hinted")
            await heard.wait_for(2)
            hint(database, "later")
            await heard.wait_for(3)

    assert heard.messages == ["hinted", "not hinted", "later"]


async def test_who_comes_later_does_not_hear_it_and_who_is_there_does(
    database: psycopg.Connection, database_url: str
) -> None:
    room, early, late = BroadcastRoom(), Heard(), Heard()
    hint(database, "before anybody came", age="2 seconds")
    async with looking(room, database_url):
        with room.listening(early.hear):
            room.hint(hint(database, "first"))
            with room.listening(late.hear):
                hint(database, "second")
                await late.wait_for(1)
            room.hint(hint(database, "third"))

    assert early.messages == ["first", "second", "third"]
    assert late.messages == ["second"]


async def test_what_was_said_while_the_ledger_was_away_is_told_afterwards(
    database: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, heard = BroadcastRoom(), Heard()
    with room.listening(heard.hear):
        async with looking(room, database_url):
            hint(database, "one")
            await heard.wait_for(1)
        # With it the test would have to wait for ten seconds to show that a look begins where the last one was.
        monkeypatch.setattr(broadcast_room, "COMMIT_SECONDS", 0)
        hint(database, "two")
        async with looking(room, database_url):
            await heard.wait_for(2)

    assert heard.messages == ["one", "two"]


async def test_an_empty_room_remembers_nothing(database: psycopg.Connection) -> None:
    room, first, second = BroadcastRoom(), Heard(), Heard()
    told = hint(database, "said")
    room.hint(told)
    with room.listening(first.hear):
        room.hint(told)
        room.hint(told)
    with room.listening(second.hear):
        room.hint(told)

    assert (first.messages, second.messages) == (["said"], ["said"])


@pytest.mark.parametrize("message", [b"", b"{}", b"\xff", b'{"id": 1}'])
def test_what_is_no_broadcast_is_refused(message: bytes) -> None:
    with contextlib.ExitStack() as stack:
        room = BroadcastRoom()
        stack.enter_context(room.listening(Heard().hear))
        with pytest.raises(ValueError, match=r"."):
            room.hint(message)
