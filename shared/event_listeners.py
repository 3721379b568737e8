"""Listeners: the `@on` decorator, which makes a function a kind of job that runs for each event of some names.

The active dispatcher writes down who listens (`listener_kinds`): events that nobody wants are not recorded at all.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import NoneType, UnionType
from typing import Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import ConfigDict

from shared.events import EVENT_TYPES, Event, covers, is_filter
from shared.ids import id_for
from shared.job_context import JobContext
from shared.job_kind import DuplicateJobKind, JobInput, JobKind, JobResult, job
from shared.job_queue import NewJob, job_of
from shared.settings import Settings

PREFIX = "listener."

Outcome = JobResult | None
Listener = TypeVar("Listener", bound=Callable[[Event, JobContext], Outcome | Awaitable[Outcome]])
Condition = Callable[[Settings], bool]


class ListenerInput(JobInput):
    """Is the input of every listener's job: the event."""

    event: Event


class ListenerResult(JobResult):
    """Holds whatever a listener returned, and nothing if that was None."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Take a listener's own result over."""
        return cls() if outcome is None else cls.model_validate(outcome.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class _Registered:
    """Is what a listener's kind does not say: what it listens to, and under which settings."""

    listener: Callable[..., Any]
    events: list[str]
    when: Condition


_registered: dict[str, _Registered] = {}


def on(
    *filters: str,
    when: Condition = lambda _: True,
    queue: str = "default",
    timeout: timedelta = timedelta(minutes=5),
    max_attempts: int = 10,
    backoff: timedelta = timedelta(seconds=5),
    backoff_cap: timedelta = timedelta(hours=1),
    concurrency: int | None = None,
    interruptible: bool = True,
) -> Callable[[Listener], Listener]:
    """Run a function `(event, context) -> JobResult | None` for each event that a filter means, as a job of its own.

    A filter is an event's name, a family such as `email.recipient.*`, or `*`. The function may be `async def`. Its job
    is of the kind `listener.<its name>`, belongs to whom the event is of, and is `silent`: no listener hears of it.
    `when` says under which settings it listens, asked when the dispatcher starts; the rest is as in `job_kind.job`.
    Raises `ValueError` for no filter, one that means no event or is given twice, `TypeError` for wrong annotations,
    `DuplicateJobKind` for two functions of one name.
    """
    events = _events_of(filters)

    def register(listener: Listener) -> Listener:
        _require_annotations(listener)
        name = f"{PREFIX}{listener.__name__}"
        known = _registered.get(name)
        if known is not None and known.listener is _bound_to(listener):
            raise DuplicateJobKind(f"{name} is defined twice in {listener.__module__}")
        job(
            name, queue=queue, timeout=timeout, max_attempts=max_attempts, access="internal", backoff=backoff,
            backoff_cap=backoff_cap, concurrency=concurrency, interruptible=interruptible, silent=True,
        )(_handler_of(listener))  # fmt: skip
        _registered[name] = _Registered(listener, events, when)
        return listener

    return register


def listener_kinds(kinds: Mapping[str, JobKind], settings: Settings) -> dict[str, list[str]]:
    """Tell which kinds are to run for each event, under these settings; an event that none listens to is left out."""
    found: dict[str, list[str]] = {}
    for kind in sorted(kinds.keys() & _registered.keys()):
        if _registered[kind].when(settings):
            for event in _registered[kind].events:
                found.setdefault(event, []).append(kind)
    return found


def listener_job(kind: JobKind, owner_id: UUID, event: Event, settings: Settings) -> NewJob:
    """Make the job that runs a listener for an event; the same event gives a job of the same id."""
    made = job_of(kind, owner_id, ListenerInput(event=event), settings)
    return replace(made, id=id_for(event.timestamp, f"{kind.name}:{event.id}"))


def _events_of(filters: tuple[str, ...]) -> list[str]:
    wrong = [filter_ for filter_ in filters if not is_filter(filter_)]
    if wrong or not filters:
        raise ValueError(f"no event is meant by {', '.join(wrong) or 'nothing'}; see /docs/events for their names")
    if len(set(filters)) < len(filters):
        raise ValueError(f"a filter is given twice: {', '.join(filters)}")
    return [name for name in EVENT_TYPES if any(covers(filter_, name) for filter_ in filters)]


def _bound_to(listener: Callable[..., Any]) -> object:
    """Give what already has this name in the module: a module that is imported anew has nothing."""
    return getattr(listener, "__globals__", {}).get(listener.__name__)


def _require_annotations(listener: Callable[..., Any]) -> None:
    hints = get_type_hints(listener)
    parameters = [hints.get(name) for name in inspect.signature(listener).parameters]
    outcome = hints.get("return", Any)
    possible = get_args(outcome) if get_origin(outcome) in {Union, UnionType} else [outcome]
    sound = all(each is NoneType or (isinstance(each, type) and issubclass(each, JobResult)) for each in possible)
    if parameters != [Event, JobContext] or not sound:
        wanted = "(event: Event, context: JobContext) -> JobResult | None"
        raise TypeError(f"{listener.__module__}.{listener.__name__}: must be {wanted}")


def _handler_of(listener: Callable[..., Any]) -> Callable[..., Any]:
    async def wait(outcome: Awaitable[Outcome]) -> ListenerResult:
        return ListenerResult.of(await outcome)

    def run_listener(job_input: ListenerInput, context: JobContext) -> ListenerResult:
        outcome: Any = listener(job_input.event, context)
        made: Any = wait(outcome) if isinstance(outcome, Awaitable) else ListenerResult.of(outcome)
        # A coroutine if the listener is one: the worker's child runs it.
        return made

    # The module says which kinds `JOBYARD_JOB_MODULES` names, the first line of the text what Flower shows.
    run_listener.__module__, run_listener.__doc__ = listener.__module__, listener.__doc__
    run_listener.__name__ = listener.__name__
    return run_listener
