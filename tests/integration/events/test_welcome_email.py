"""Who registers is welcomed by an e-mail, once, where the settings say so; the registration waits for nothing."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from shared.event_listeners import listener_kinds
from shared.events import Event
from shared.job_kind import JobKind
from shared.settings import Settings
from tests import factories
from tests.integration.emails import conftest as emails
from tests.integration.emails.mail_server import MailServer
from tests.integration.events.conftest import Ear

KIND = "listener.welcome_email"
ADA = {"email": "ada@example.org", "password": "correct horse battery staple", "name": "buy this: https://spam.example"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"welcome_email": True, "public_url": "https://jobyard.example.com"})


def register(post: emails.Post, ear: Ear, **changes: str | None) -> Event:
    ear.listen("user.created")
    assert post.client.post("/v1/auth/register", json=ADA | changes).status_code == 201
    [event] = ear.heard()
    return event


def welcome(post: emails.Post, kinds: dict[str, JobKind], event: Event) -> dict[str, Any]:
    """Run a job of the listener for an event; gives its result."""
    told = {"event": event.model_dump(mode="json")}
    job_id = factories.enqueue(post.database, factories.new_job(kinds[KIND], post.owner.id, told))
    assert factories.run_job(post.runner, post.database, kinds[KIND], job_id) == "succeeded"
    row = post.database.execute("SELECT result FROM jobs WHERE id = %s", (job_id,)).fetchone()
    assert row is not None
    return row[0]


def test_a_new_user_gets_one_mail_however_often_the_event_is_told(
    post: emails.Post, ear: Ear, kinds: dict[str, JobKind], mail_server: MailServer
) -> None:
    event = register(post, ear)
    made = welcome(post, kinds, event)
    assert welcome(post, kinds, event) == made
    job_id = UUID(made["job_id"])
    assert factories.run_job(post.runner, post.database, post.kind, job_id) == "succeeded"

    [delivered] = mail_server.delivered
    text = delivered.message.get_content()
    assert delivered.recipients == ["ada@example.org"]
    assert "your account for ada@example.org" in text
    # Whoever registers may write to others in vain: the address need not be theirs.
    assert "buy this" not in delivered.message.as_string()
    assert "https://jobyard.example.com" in text
    assert post.client.get("/v1/emails", headers=post.owner.headers).json()["items"] == []


def test_it_listens_only_where_the_settings_say_so(settings: Settings, kinds: dict[str, JobKind]) -> None:
    assert listener_kinds(kinds, settings)["user.created"] == [KIND]
    assert "user.created" not in listener_kinds(kinds, settings.model_copy(update={"welcome_email": False}))


def test_nothing_is_recorded_while_nobody_listens(
    post: emails.Post, ear: Ear, database: psycopg.Connection[Any]
) -> None:
    assert post.client.post("/v1/auth/register", json=ADA).status_code == 201
    assert ear.rows() == []
    assert database.execute("SELECT count(*) FROM emails").fetchone() == (0,)
