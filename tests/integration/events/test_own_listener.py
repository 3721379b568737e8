"""A listener from a user's package, exactly as docs/listening-to-events.md shows it."""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from celery.exceptions import Retry as CeleryRetry

from shared.event_listeners import listener_kinds
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.conftest import Owner
from tests.webhook_receiver import WebhookReceiver, answer, close
from worker.celery_app import create_celery_app
from worker.event_audience import write_listeners
from worker.event_fan_out import FanOut
from worker.runner import JobFailed, Runner

PAGE = Path(__file__).parents[3] / "docs" / "listening-to-events.md"
KIND = "listener.post_to_chat"


def example(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    source = example("python")
    path = tmp_path / source.partition("\n")[0].removeprefix("# ")
    path.parent.mkdir()
    path.write_text(source)
    (path.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    name, _, value = example("sh").strip().partition("=")
    monkeypatch.setenv(name, f"{value},tests.kinds")
    yield settings.model_copy(update={"job_modules": Settings.model_validate({}).job_modules})
    for module in [module for module in sys.modules if module.partition(".")[0] == path.parent.name]:
        del sys.modules[module]


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        monkeypatch.setenv("CHAT_URL", receiver.url("/chat"))
        yield receiver


class Dispatcher:
    """Makes jobs of events and runs them, as the dispatcher and a worker do."""

    def __init__(self, settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind]) -> None:
        self._fan_out = FanOut(settings, kinds)
        self._database = database
        self._kind = kinds[KIND]
        write_listeners(database, listener_kinds(kinds, settings))

    def fan_out(self) -> int:
        return self._fan_out.run(self._database, factories.take_lease(self._database))

    def job_ids(self) -> list[UUID]:
        return [row[0] for row in self._database.execute("SELECT id FROM jobs WHERE kind = %s", (KIND,))]

    def run(self, runner: Runner, job_id: UUID) -> str:
        self._database.execute("UPDATE jobs SET run_at = now() WHERE id = %s AND state = 'retrying'", (job_id,))
        return factories.run_job(runner, self._database, self._kind, job_id)


@pytest.fixture
def dispatcher(settings: Settings, database: psycopg.Connection, kinds: dict[str, JobKind]) -> Dispatcher:
    return Dispatcher(settings, database, kinds)


def end(runner: Runner, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner, ending: str) -> UUID:
    """Run a job that ends like this."""
    kind = kinds["test.echo"]
    job_id = factories.enqueue(database, factories.new_job(kind, owner.id, {"ending": ending}))
    with suppress(CeleryRetry, JobFailed):
        factories.run_job(runner, database, kind, job_id)
    return job_id


def test_it_hears_what_it_listens_to_and_no_more(
    dispatcher: Dispatcher, runner: Runner, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner,
    chat: WebhookReceiver,
) -> None:  # fmt: skip
    end(runner, database, kinds, owner, "return")
    end(runner, database, kinds, owner, "fail")

    assert dispatcher.fan_out() == 1
    [job_id] = dispatcher.job_ids()
    assert dispatcher.run(runner, job_id) == "succeeded"

    [received] = chat.received
    assert received.path == "/chat"
    assert json.loads(received.body)["text"] == "job.failed: test.echo"


def test_it_is_tried_again_with_the_same_event(
    dispatcher: Dispatcher, runner: Runner, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner,
    chat: WebhookReceiver,
) -> None:  # fmt: skip
    end(runner, database, kinds, owner, "fail")
    dispatcher.fan_out()
    [job_id] = dispatcher.job_ids()

    chat.script = close
    assert dispatcher.run(runner, job_id) == "retrying"
    chat.script = answer()
    assert dispatcher.run(runner, job_id) == "succeeded"

    first, second = chat.received
    assert first.body == second.body


def test_its_own_failure_is_no_event(
    dispatcher: Dispatcher, runner: Runner, database: psycopg.Connection, kinds: dict[str, JobKind], owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("CHAT_URL", raising=False)
    end(runner, database, kinds, owner, "fail")
    dispatcher.fan_out()
    [job_id] = dispatcher.job_ids()
    database.execute("UPDATE jobs SET max_attempts = 1 WHERE id = %s", (job_id,))

    assert dispatcher.run(runner, job_id) == "failed"

    assert dispatcher.fan_out() == 0


def test_it_is_a_task_that_flower_shows(settings: Settings, database: psycopg.Connection) -> None:
    del database
    celery = create_celery_app(settings)
    try:
        assert celery.conf.task_routes[KIND] == {"queue": "default"}
        assert str(celery.tasks[KIND].__doc__).startswith("Tell a chat")
    finally:
        celery.close()
