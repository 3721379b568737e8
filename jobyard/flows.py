"""Flows: the rules of the client as generators that do no input or output themselves.

A flow yields steps (send this, sleep so long) and gets what came of them; a runner does the steps, blocking
(`jobyard.sync_runner`) or on an event loop (`jobyard.async_runner`). So each rule is written once for both clients.
A step that fails raises within the flow: `ConnectionFailed` for whatever goes wrong on the way to the server.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Body:
    """Is a body that is sent block by block; `size` is None when nobody knows it. `sent` is told of each block."""

    blocks: Callable[[], Generator[bytes]]
    size: int | None
    sent: Callable[[int], None] | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Is a request. `read_seconds` replaces the client's time-out for what is known to take longer, or less.

    `repeatable` says that it may be sent again when it may have arrived.
    """

    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes | Body | None = field(default=None, repr=False)
    read_seconds: float | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Is an answer that was read to its end; the names of headers are matched in any case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """Is an answer whose body is still to be read; `handle` is the runner's."""

    status: int
    headers: Mapping[str, str]
    handle: Any


@dataclass(frozen=True, slots=True)
class Send:
    """Asks for a request to be sent and its answer to be read; gives `Answer`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Asks for a request to be sent; gives `Opened` for a success, and `Answer` for anything else."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Asks for the next piece of a body; gives it, or None at the end."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class Close:
    """Asks for an answer to be closed, read or not; what a flow leaves open is closed at its end."""

    opened: Opened


@dataclass(frozen=True, slots=True)
class Sleep:
    """Asks for a pause."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Asks for a call that may block, on the disk for one; gives what it gives."""

    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Exclusive:
    """Asks for a flow to be run while no other such flow of this client runs; gives what it gives."""

    flow: "Flow[Any]"


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Is one of the values that a stream gives to its reader."""

    value: T


Step = Send | Open | Read | Close | Sleep | Work | Exclusive
Flow = Generator[Step, Any, T]
"""Does steps, then gives a value."""
Stream = Generator[Step | Item[T], Any, None]
"""Does steps, and gives values in between."""


def send(request: Request) -> Flow[Answer]:
    """Send a request and read its answer."""
    answer: Answer = yield Send(request)
    return answer


def open_answer(request: Request) -> Flow[Answer | Opened]:
    """Send a request; a success is left open."""
    answer: Answer | Opened = yield Open(request)
    return answer


def read_piece(opened: Opened) -> Flow[bytes | None]:
    """Read the next piece of a body; None at the end."""
    piece: bytes | None = yield Read(opened)
    return piece


def close(opened: Opened) -> Flow[None]:
    """Close an answer."""
    yield Close(opened)


def sleep(seconds: float) -> Flow[None]:
    """Pause."""
    yield Sleep(seconds)


def work(call: Callable[[], T]) -> Flow[T]:
    """Make a call that may block."""
    value: T = yield Work(call)
    return value


def exclusively(flow: Flow[T]) -> Flow[T]:
    """Run a flow while no other such flow runs."""
    value: T = yield Exclusive(flow)
    return value


def each(stream: Stream[T], see: Callable[[T], None]) -> Flow[None]:
    """Run a stream to its end, showing each of its values."""
    steps = Steps(stream)
    for step in steps:
        if isinstance(step, Item):
            see(step.value)
        else:
            try:
                steps.answer = yield step
            except Exception as error:  # noqa: BLE001 - it is the stream's to judge
                steps.error = error


class Steps(Generic[S, T]):
    """Iterates over the steps of a flow; set `answer` or `error` to what came of one. At the end `value` is there."""

    def __init__(self, flow: Generator[S, Any, T]) -> None:
        self._flow = flow
        self.answer: Any = None
        self.error: Exception | None = None
        self.value: T

    def __iter__(self) -> Iterator[S]:
        return self

    def __next__(self) -> S:
        answer, error, self.answer, self.error = self.answer, self.error, None, None
        try:
            return self._flow.send(answer) if error is None else self._flow.throw(error)
        except StopIteration as end:
            self.value = end.value
            raise
