"""The decorator `@on`: what it takes, what it refuses, and what a listener's kind of job is like."""

import asyncio
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from shared import event_listeners
from shared.event_listeners import ListenerInput, listener_job, listener_kinds, on
from shared.events import Event
from shared.ids import new_id
from shared.job_context import JobContext
from shared.job_kind import DuplicateJobKind, JobKind, JobResult, load_job_kinds
from shared.settings import Settings

EVENT = Event(id=new_id(), type="user.created", timestamp=datetime(2026, 11, 24, tzinfo=UTC), data={"name": "Ada"})
CONTEXT = cast("JobContext", None)


class Greeted(JobResult):
    name: str


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_listeners, "_registered", {})


def kinds() -> dict[str, JobKind]:
    return load_job_kinds([__name__])


def call(kind: JobKind) -> dict[str, Any]:
    outcome = kind.handler(ListenerInput(event=EVENT), CONTEXT)
    made = asyncio.run(outcome) if inspect.iscoroutine(outcome) else outcome
    return kind.result_model.model_validate(made).model_dump(mode="json")


def test_a_listener_becomes_a_silent_internal_kind_of_job_with_its_options() -> None:
    @on("job.succeeded", queue="maintenance", max_attempts=4)
    def hear_success(event: Event, context: JobContext) -> None:
        """Hear of a success."""
        del event, context

    kind = kinds()["listener.hear_success"]

    assert (kind.silent, kind.access, kind.queue, kind.max_attempts) == (True, "internal", "maintenance", 4)
    assert kind.summary == "Hear of a success."
    assert kind.handler is not hear_success


def test_what_a_listener_returns_is_its_jobs_result() -> None:
    @on("user.created")
    def hear_plainly(event: Event, context: JobContext) -> Greeted:
        del context
        return Greeted(name=event.data["name"])

    @on("user.created")
    async def hear_later(event: Event, context: JobContext) -> Greeted | None:
        del context
        await asyncio.sleep(0)
        return Greeted(name=event.data["name"])

    @on("user.created")
    def hear_nothing(event: Event, context: JobContext) -> Greeted | None:
        del event, context
        return None

    assert (hear_plainly.__name__, hear_later.__name__, hear_nothing.__name__) == (
        "hear_plainly", "hear_later", "hear_nothing",
    )  # fmt: skip
    assert call(kinds()["listener.hear_plainly"]) == {"name": "Ada"}
    assert call(kinds()["listener.hear_later"]) == {"name": "Ada"}
    assert call(kinds()["listener.hear_nothing"]) == {}


def test_the_dispatcher_learns_which_kinds_hear_an_event(settings: Settings) -> None:
    @on("file.*")
    def hear_files(event: Event, context: JobContext) -> None:
        del event, context

    @on("file.deleted", "email.recipient.*")
    def hear_more(event: Event, context: JobContext) -> None:
        del event, context

    @on("user.created", when=lambda settings: settings.environment == "production")
    def hear_in_production(event: Event, context: JobContext) -> None:
        del event, context

    found = listener_kinds(kinds(), settings)

    assert found["file.created"] == ["listener.hear_files"]
    assert found["file.deleted"] == ["listener.hear_files", "listener.hear_more"]
    assert found["email.recipient.bounced"] == ["listener.hear_more"]
    assert not {"email.settled", "job.failed", "user.created"} & found.keys()
    production = settings.model_copy(update={"environment": "production"})
    assert listener_kinds(kinds(), production)["user.created"] == ["listener.hear_in_production"]
    assert listener_kinds({}, settings) == {}
    assert {hear_files, hear_more, hear_in_production}


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [
        ((), "nothing"),
        (("job.done",), "job.done"),
        (("jobs.*", "job.failed"), "jobs.*"),
        (("job.fail*",), "job.fail*"),
        (("webhook.test",), "webhook.test"),
        (("job.failed", "job.failed"), "twice"),
    ],
)
def test_filters_that_mean_nothing_are_refused_at_once(filters: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.replace("*", r"\*")):
        on(*filters)


def test_a_function_of_another_shape_is_refused() -> None:
    def hear_alone(event: Event) -> None:
        del event

    def hear_and_return_text(event: Event, context: JobContext) -> str:
        del context
        return event.type

    def hear_unannotated(event, context):  # noqa: ANN001, ANN202 # pyright: ignore[reportMissingParameterType, reportUnknownParameterType] - what is refused
        del event, context

    for wrong in cast("list[Callable[..., Any]]", [hear_alone, hear_and_return_text, hear_unannotated]):
        with pytest.raises(TypeError, match="must be"):
            on("user.created")(wrong)


def test_a_second_listener_of_one_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def hear_twice(event: Event, context: JobContext) -> None:
        del event, context

    def again(event: Event, context: JobContext) -> None:
        del event, context

    again.__name__ = "hear_twice"
    monkeypatch.setitem(globals(), "hear_twice", on("user.created")(hear_twice))
    with pytest.raises(DuplicateJobKind, match="hear_twice"):
        on("user.created")(again)
    again.__module__ = "elsewhere"
    monkeypatch.delitem(globals(), "hear_twice")
    with pytest.raises(DuplicateJobKind, match="elsewhere"):
        on("user.created")(again)


def test_the_same_event_makes_the_same_job_of_a_listener(settings: Settings) -> None:
    @on("user.created")
    def hear_once(event: Event, context: JobContext) -> None:
        del event, context

    assert hear_once.__name__ == "hear_once"
    kind, owner_id = kinds()["listener.hear_once"], new_id()
    first, second = (listener_job(kind, owner_id, EVENT, settings) for _ in range(2))

    assert first.id == second.id
    assert (first.owner_id, first.silent) == (owner_id, True)
    assert ListenerInput.model_validate(first.input).event == EVENT
