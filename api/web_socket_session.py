"""One WebSocket of a client that is known: its messages are answered, and it is told of what it subscribed to."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from api.broadcast_room import Broadcast
from api.deps import Forbidden
from api.job_feeds import Feed, Reason
from api.job_frames import Frame
from api.resources import Resources
from api.tokens import Caller
from api.web_socket_limits import MessageRate
from api.web_socket_messages import (
    Authenticate,
    BroadcastMessage,
    MessageNotValid,
    Ping,
    Pong,
    Ready,
    Subscribe,
    Subscribed,
    Unsubscribe,
    read_message,
    write_job,
)
from api.web_socket_protocol import WRITE, text_frame
from api.web_socket_sending import ConnectionEnd, Sending, is_clients_fault
from api.web_socket_subscriptions import ConnectionSubscriptions
from shared.errors import JobyardError

MOST_ERRORS = 10
"""In a row; who sends nothing but what cannot be done is closed."""
MOST_BROADCASTS_WAITING = 100
_CANCEL_AGAIN_SECONDS = 0.1


class Session:
    """Serves one client until it goes, its token ends, the server stops, or it keeps to no bounds."""

    def __init__(self, socket: WebSocket, sending: Sending, resources: Resources, caller: Caller, feed: Feed) -> None:
        self._socket = socket
        self._sending = sending
        self._resources = resources
        self._caller = caller
        self._feed = feed
        self._subscriptions = ConnectionSubscriptions(resources, feed)
        self._rate = MessageRate()
        self._errors = 0
        self._write: Callable[[bytes], bool] | None = socket.scope["extensions"].get(WRITE, {}).get(WRITE)
        self._telling: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None

    async def run(self, ref: str | None = None) -> None:
        """Serve until the client goes; raises `ConnectionEnd` when it is the server that ends it.

        `ref` is that of the message by which the client said who it is.
        """
        with self._resources.changes.broadcasts.listening(self._hear):
            await self._say_ready(ref)
            self._sender = asyncio.create_task(self._send_frames())
            tasks = {self._sender, asyncio.create_task(self._read())}
            self._feed.on_let_go = self._stop_if_blocked
            self._feed.direct = self._write_now
            try:
                await self._wait(tasks)
            finally:
                self._feed.on_let_go = self._feed.direct = None
                await _cancel(tasks | self._telling)

    async def _wait(self, tasks: set[asyncio.Task[None]]) -> None:
        while True:
            left = self._caller.expires_at - time.time()
            if left <= 0:
                raise ConnectionEnd("token_expired")
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if any(task.cancelled() for task in done):
                raise ConnectionEnd("stopping" if self._feed.reason == "stopping" else "slow")
            for task in done:
                task.result()
            if done:
                return

    def _stop_if_blocked(self, _: Reason) -> None:
        # A stop must not wait for a client that reads nothing, and for whom too much waits reads nothing either.
        if self._sending.blocked and self._sender is not None:
            self._sender.cancel()

    async def _say_ready(self, ref: str | None) -> None:
        ends = datetime.fromtimestamp(self._caller.expires_at, UTC)
        await self._sending.send_message(Ready(ref=ref, expires_at=ends))

    async def _send_frames(self) -> None:
        while frames := await self._feed.take():
            for frame in frames:
                await self._sending.send(write_job(frame).decode())
                if frame.done:
                    self._subscriptions.end_job(frame.job_id)
        raise ConnectionEnd("stopping" if self._feed.reason == "stopping" else "slow")

    def _write_now(self, frame: Frame) -> bool:
        if self._sending.is_busy or self._write is None or not self._write(frame.written(_text_frame)):
            return False
        if frame.done:
            # Not now: whoever tells of the job is going through those that watch it.
            asyncio.get_running_loop().call_soon(self._subscriptions.end_job, frame.job_id)
        return True

    async def _read(self) -> None:
        while (received := await self._socket.receive())["type"] != "websocket.disconnect":
            if not self._rate.take():
                raise ConnectionEnd("too_many_messages")
            error, ref = await self._try(received)
            if error is None:
                self._errors = 0
                continue
            await self._sending.send_error(error, ref)
            self._errors += is_clients_fault(error)
            if self._errors >= MOST_ERRORS:
                raise ConnectionEnd("too_many_errors")

    async def _try(self, received: Message) -> tuple[JobyardError | None, str | None]:
        try:
            message = read_message(received.get("text"))
        except MessageNotValid as error:
            return error, error.ref
        try:
            await self._answer(message)
        except JobyardError as error:
            return error, message.ref
        return None, None

    async def _answer(self, message: Authenticate | Subscribe | Unsubscribe | Ping) -> None:
        match message:
            case Ping():
                await self._sending.send_message(Pong(ref=message.ref))
            case Subscribe():
                # What changes meanwhile must not come before the answer.
                async with self._sending.turn() as say:
                    frames = await self._subscriptions.subscribe(message)
                    await say(self._subscribed("subscribed", message.ref))
                for frame in frames:
                    self._feed.put(frame)
            case Unsubscribe():
                self._subscriptions.unsubscribe(message)
                await self._sending.send(self._subscribed("unsubscribed", message.ref))
            case Authenticate():
                self._renew(self._resources.tokens.read(message.token.get_secret_value()))
                await self._say_ready(message.ref)

    def _renew(self, caller: Caller) -> None:
        if caller.user_id != self._caller.user_id:
            raise Forbidden("This connection is another user's; open one of your own.")
        # The token before is good until its end, whatever has come since.
        if caller.expires_at > self._caller.expires_at:
            self._caller = caller

    def _subscribed(self, event: Literal["subscribed", "unsubscribed"], ref: str | None) -> str:
        now = self._subscriptions.describe()
        return Subscribed(event=event, ref=ref, subscriptions=now).model_dump_json()

    def _hear(self, broadcast: Broadcast) -> None:
        if len(self._telling) >= MOST_BROADCASTS_WAITING:
            self._feed.let_go("slow")
            return
        task = asyncio.create_task(self._tell(BroadcastMessage(data=broadcast).model_dump_json()))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, text: str) -> None:
        # A client that has gone is noticed by who reads from it.
        with contextlib.suppress(WebSocketDisconnect):
            try:
                await self._sending.send(text)
            except ConnectionEnd:
                self._feed.let_go("slow")


def _text_frame(frame: Frame) -> bytes:
    return text_frame(write_job(frame))


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.add_done_callback(_look_at_end)
    # Waited for, or one of them could still watch something for a feed that is closed. Once may not be enough: until
    # Python 3.12 asyncio.wait_for, which psycopg uses, can swallow a cancellation.
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_SECONDS)


def _look_at_end(task: asyncio.Task[None]) -> None:
    # Two may end at once, and the second one's reason is no news; asyncio complains of what nobody looks at.
    if not task.cancelled():
        task.exception()
