"""A runner of the client's flows that answers as OpenAPI describes it, and notes what it was asked for."""

import json
import re
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from jobyard.flows import Answer, Body, Exclusive, Flow, Item, Open, Request, Send, Step, Steps, Stream, Work
from jobyard.sync_runner import SyncRunner
from tests.contracts.described_interface import Interface

T = TypeVar("T")

_PART = re.compile(rb'form-data; name="([^"]+)"')


@dataclass(frozen=True)
class Asked:
    """Is one request: its operation, what it told, by name, and whether it had an idempotency key."""

    operation: str
    told: frozenset[str]
    keyed: bool


class _NoExample(Exception):
    """Ends a call with the content of a file or a stream of events, of which OpenAPI has no example."""


class DescribedServer(SyncRunner):
    """Answers with examples; raises `LookupError` when an operation is not described."""

    def __init__(self, interface: Interface) -> None:
        self._interface = interface
        self.asked: list[Asked] = []

    def make(self, call: Callable[[], object]) -> None:
        """Make a call of the client, and take all that it gives."""
        with suppress(_NoExample):
            given = call()
            if isinstance(given, Generator):
                for _ in given:
                    pass

    def run(self, flow: Flow[T]) -> T:
        """Run a flow."""
        steps = Steps(flow)
        for step in steps:
            steps.answer = self._answer_step(step)
        return steps.value

    def iterate(self, stream: Stream[T]) -> Generator[T, None, None]:
        """Run a stream."""
        steps = Steps(stream)
        for step in steps:
            if isinstance(step, Item):
                yield step.value
            else:
                steps.answer = self._answer_step(step)

    def _answer_step(self, step: Step) -> Any:
        match step:
            case Send(request):
                return self._answer(request)
            case Open(request):
                self._note(request)
                raise _NoExample
            case Work(function):
                return function()
            case Exclusive(flow):
                return self.run(flow)
            case _:
                raise AssertionError(f"nothing is waited for here: {step}")

    def _note(self, request: Request) -> Asked:
        operation = self._interface.operation_of(request.method, request.path)
        told = frozenset({name for name, _ in request.query} | _names_in(request.body))
        self.asked.append(Asked(operation, told, "Idempotency-Key" in request.headers))
        return self.asked[-1]

    def _answer(self, request: Request) -> Answer:
        asked = self._note(request)
        # The one operation whose good answers differ in shape.
        status = "202" if "process" in asked.told else None
        # A list has two pages.
        cursor = None if "cursor" in asked.told else "next"
        number, shown = self._interface.example(asked.operation, status, cursor=cursor)
        of_uploads = {"Location": "/v1/uploads/7", "Upload-Length": "7"}
        of_uploads["Upload-Offset"] = "7" if request.method == "PATCH" else "0"
        return Answer(number, of_uploads, b"" if shown is None else json.dumps(shown).encode())


def _names_in(body: bytes | Body | None) -> set[str]:
    if isinstance(body, Body):
        return {name.decode() for name in _PART.findall(b"".join(body.blocks()))}
    told = json.loads(body) if body else None
    if not isinstance(told, dict):
        return set()
    # The one object within a body that the client makes itself.
    within = {f"filter.{name}" for name in told.pop("filter", {})}
    return {*told, *within}
