"""Many clients of one job, each with what a client should have: it comes back, to another process if need be."""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.conftest import Owner

DEADLINE_SECONDS = 60


@dataclass(slots=True)
class Client:
    """Is a client that wants to see a job's end, and what it saw; `ports` are where it tries in turn."""

    owner: Owner
    job_id: str
    ports: Sequence[int]
    versions: list[int] = field(default_factory=list)
    job: dict[str, Any] | None = None
    connections: int = 0

    async def follow(self, first: asyncio.Barrier, halfway: asyncio.Event) -> None:
        """Follow the job to its end; `first` is where all wait for each other once they are subscribed."""
        for port in itertools.cycle(self.ports):
            try:
                async with connect(
                    f"ws://127.0.0.1:{port}/v1/ws", additional_headers=self.owner.headers, proxy=None, open_timeout=None
                ) as connection:
                    self.connections += 1
                    await self._subscribe(connection)
                    if self.connections == 1:
                        await first.wait()
                    if await self._follow_here(connection, halfway):
                        return
            except (OSError, ConnectionClosed, InvalidHandshake):
                continue

    async def _subscribe(self, connection: ClientConnection) -> None:
        await connection.send(json.dumps({"action": "subscribe", "jobs": [self.job_id]}))
        events = [json.loads(await connection.recv())["event"] for _ in range(2)]
        assert events == ["ready", "subscribed"]

    async def _follow_here(self, connection: ClientConnection, halfway: asyncio.Event) -> bool:
        here: list[int] = []
        async for text in connection:
            job = json.loads(text)["data"]
            here.append(job["version"])
            self.versions.append(job["version"])
            assert here == sorted(set(here))
            if (job["progress"]["completed"] or 0) >= 5:
                halfway.set()
            if job["done"]:
                self.job = job
                return True
        return False


class Crowd(threading.Thread):
    """Has many clients follow their job in a thread of its own, and does something when they are halfway.

    `subscribed` is set when all are; a failure of any is raised by `join_all`.
    """

    def __init__(self, clients: Sequence[Client], at_half: Callable[[], None]) -> None:
        super().__init__()
        self._clients = clients
        self._at_half = at_half
        self._failure: BaseException | None = None
        self.subscribed = threading.Event()

    def run(self) -> None:
        """Follow to the end."""
        try:
            asyncio.run(self._follow())
        except BaseException as failure:  # noqa: BLE001 - raised again where the test is
            self._failure = failure
        finally:
            self.subscribed.set()

    def join_all(self) -> None:
        """Wait until all have seen the end."""
        self.join()
        if self._failure is not None:
            raise self._failure

    async def _follow(self) -> None:
        first, halfway = asyncio.Barrier(len(self._clients) + 1), asyncio.Event()
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(client.follow(first, halfway))
            await first.wait()
            self.subscribed.set()
            await halfway.wait()
            self._at_half()
