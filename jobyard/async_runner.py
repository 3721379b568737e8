"""Does the steps of flows on an event loop of asyncio; what may block on the disk runs in threads."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from jobyard.flows import (
    Answer,
    Body,
    Close,
    Exclusive,
    Flow,
    Item,
    Open,
    Opened,
    Read,
    Request,
    Send,
    Sleep,
    Step,
    Steps,
    Stream,
    Work,
)
from jobyard.transport import Settings, client_options, failure_of, request_options

T = TypeVar("T")


class AsyncRunner:
    """Runs flows in the task that awaits them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = httpx2.AsyncClient(**client_options(settings))
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow and give its value."""
        async with _Answers() as answers:
            with closing(flow):
                steps = Steps(flow)
                for step in steps:
                    await self._take(step, steps, answers)
                return steps.value

    async def iterate(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """Run a stream as its values are asked for."""
        async with _Answers() as answers:
            with closing(stream):
                steps = Steps(stream)
                for step in steps:
                    if isinstance(step, Item):
                        yield step.value
                    else:
                        await self._take(step, steps, answers)

    async def _take(self, step: Step, steps: Steps[Any, Any], answers: "_Answers") -> None:
        try:
            steps.answer = await self._do(step, answers)
        except httpx2.RequestError as error:
            steps.error = failure_of(error)
        except Exception as error:  # noqa: BLE001 - it is the flow's to judge
            steps.error = error

    async def _do(self, step: Step, answers: "_Answers") -> Any:
        answer: Any = None
        match step:
            case Send(request):
                read = await self._http.send(self._build(request))
                answer = Answer(read.status_code, read.headers, read.content)
            case Open(request):
                answer = await answers.add(await self._http.send(self._build(request), stream=True))
            case Read(opened):
                answer = await anext(opened.handle, None)
            case Close(opened):
                await answers.close(opened)
            case Sleep(seconds):
                await asyncio.sleep(seconds)
            case Work(function):
                answer = await _in_thread(function)
            case Exclusive(flow):
                async with self._lock:
                    answer = await self.run(flow)
        return answer

    def _build(self, request: Request) -> httpx2.Request:
        content = _blocks(request.body) if isinstance(request.body, Body) else request.body
        return self._http.build_request(**request_options(self._settings, request), content=content)


async def _in_thread(function: Callable[[], T]) -> T:
    """Make a call in a thread; who is cancelled waits for its end, for what it uses must not be closed under it."""
    working = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def _blocks(body: Body) -> AsyncIterator[bytes]:
    with closing(body.blocks()) as blocks:
        while (block := await _in_thread(lambda: next(blocks, None))) is not None:
            yield block
            if body.sent is not None:
                body.sent(len(block))


class _Answers:
    """Keeps the answers that a flow has open, and closes them at its end."""

    def __init__(self) -> None:
        self._open: dict[int, httpx2.Response] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for response in self._open.values():
            await response.aclose()

    async def add(self, response: httpx2.Response) -> Answer | Opened:
        """Keep a success open; read anything else to its end."""
        if not response.is_success:
            return Answer(response.status_code, response.headers, await response.aread())
        handle = response.aiter_raw()
        self._open[id(handle)] = response
        return Opened(response.status_code, response.headers, handle)

    async def close(self, opened: Opened) -> None:
        """Close one."""
        response = self._open.pop(id(opened.handle), None)
        if response is not None:
            await response.aclose()
