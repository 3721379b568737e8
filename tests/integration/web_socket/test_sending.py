"""One message goes out after the other; what may be written at once knows of those that wait for their turn."""

import asyncio

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketState

from api.web_socket_sending import ConnectionEnd, Sending

pytestmark = pytest.mark.anyio


class Slow:
    """Takes a message when it is let."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.let = asyncio.Event()

    async def receive(self) -> Message:
        raise AssertionError

    async def send(self, message: Message) -> None:
        await self.let.wait()
        self.taken.append(message["text"])


def make(stall_seconds: float) -> tuple[Sending, Slow]:
    slow = Slow()
    socket = WebSocket({"type": "websocket", "headers": []}, slow.receive, slow.send)
    socket.application_state = WebSocketState.CONNECTED
    return Sending(socket, stall_seconds), slow


async def test_it_is_busy_from_the_first_to_the_last_that_waits_in_between_too() -> None:
    sending, slow = make(30)
    assert not sending.is_busy

    waiting = [asyncio.create_task(sending.send(str(number))) for number in range(5)]
    await asyncio.sleep(0)
    slow.let.set()
    while not all(task.done() for task in waiting):
        assert sending.is_busy
        await asyncio.sleep(0)

    assert not sending.is_busy
    assert slow.taken == ["0", "1", "2", "3", "4"]


async def test_who_takes_nothing_for_too_long_is_slow_and_stays_nobodys_turn() -> None:
    sending, _ = make(0.01)

    with pytest.raises(ConnectionEnd, match="slow"):
        await sending.send("x")

    assert not sending.is_busy
    assert not sending.blocked
