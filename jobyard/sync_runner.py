"""Does the steps of flows by blocking. Any number of threads may run flows at once."""

import threading
import time
from collections.abc import Generator, Iterator
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


class SyncRunner:
    """Runs flows in the thread that calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = httpx2.Client(**client_options(settings))
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow and give its value."""
        with _Answers() as answers, closing(flow):
            steps = Steps(flow)
            for step in steps:
                self._take(step, steps, answers)
            return steps.value

    def iterate(self, stream: Stream[T]) -> Generator[T, None, None]:
        """Run a stream as its values are asked for."""
        with _Answers() as answers, closing(stream):
            steps = Steps(stream)
            for step in steps:
                if isinstance(step, Item):
                    yield step.value
                else:
                    self._take(step, steps, answers)

    def _take(self, step: Step, steps: Steps[Any, Any], answers: "_Answers") -> None:
        try:
            steps.answer = self._do(step, answers)
        except httpx2.RequestError as error:
            steps.error = failure_of(error)
        except Exception as error:  # noqa: BLE001 - it is the flow's to judge
            steps.error = error

    def _do(self, step: Step, answers: "_Answers") -> Any:
        answer: Any = None
        match step:
            case Send(request):
                read = self._http.send(self._build(request))
                answer = Answer(read.status_code, read.headers, read.content)
            case Open(request):
                answer = answers.add(self._http.send(self._build(request), stream=True))
            case Read(opened):
                answer = next(opened.handle, None)
            case Close(opened):
                answers.close(opened)
            case Sleep(seconds):
                time.sleep(seconds)
            case Work(function):
                answer = function()
            case Exclusive(flow):
                with self._lock:
                    answer = self.run(flow)
        return answer

    def _build(self, request: Request) -> httpx2.Request:
        content = _blocks(request.body) if isinstance(request.body, Body) else request.body
        return self._http.build_request(**request_options(self._settings, request), content=content)


def _blocks(body: Body) -> Iterator[bytes]:
    with closing(body.blocks()) as blocks:
        for block in blocks:
            yield block
            if body.sent is not None:
                body.sent(len(block))


class _Answers:
    """Keeps the answers that a flow has open, and closes them at its end."""

    def __init__(self) -> None:
        self._open: dict[int, httpx2.Response] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for response in self._open.values():
            response.close()

    def add(self, response: httpx2.Response) -> Answer | Opened:
        """Keep a success open; read anything else to its end."""
        if not response.is_success:
            return Answer(response.status_code, response.headers, response.read())
        handle = response.iter_raw()
        self._open[id(handle)] = response
        return Opened(response.status_code, response.headers, handle)

    def close(self, opened: Opened) -> None:
        """Close one."""
        response = self._open.pop(id(opened.handle), None)
        if response is not None:
            response.close()
