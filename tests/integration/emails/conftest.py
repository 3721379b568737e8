"""An SMTP server, and an e-mail's way through the API and the runner."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from fastapi.testclient import TestClient

from shared.ids import new_id
from shared.job_kind import JobKind
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import upload_key
from tests.conftest import Owner
from tests.factories import open_runner, run_job
from tests.integration.emails.mail_server import MailServer
from worker.runner import Runner


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(settings: Settings, mail_server: MailServer) -> Settings:
    return settings.model_copy(
        update={
            "smtp_url": f"smtp://127.0.0.1:{mail_server.port}",
            "smtp_timeout_seconds": 2.0,
            "mail_from": "Jobyard <jobyard@example.com>",
        }
    )


@pytest.fixture
def runner(settings: Settings, kinds: dict[str, JobKind]) -> Iterator[Runner]:
    with open_runner(settings, kinds) as runner:
        yield runner


@dataclass(frozen=True, slots=True)
class Post:
    """Sends e-mails for one owner and runs their attempts."""

    client: TestClient
    database: psycopg.Connection[Any]
    settings: Settings
    runner: Runner
    kind: JobKind
    owner: Owner

    def send(self, **body: Any) -> dict[str, Any]:
        given = {"to": ["ann@example.org"], "subject": "Hello", "text": "Hi."} | body
        answer = self.client.post("/v1/emails", json=given, headers=self.owner.headers)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def attempt(self, email: dict[str, Any]) -> str:
        """Run the next attempt, due or not; gives the job's state afterwards."""
        job_id = UUID(email["job_id"])
        self.database.execute(
            "UPDATE jobs SET run_at = clock_timestamp() WHERE id = %s AND state IN ('retrying', 'scheduled')", (job_id,)
        )
        self.database.execute(
            "UPDATE recipients SET next_attempt_at = clock_timestamp() FROM emails"
            " WHERE emails.job_id = %s AND email_id = emails.id AND next_attempt_at IS NOT NULL",
            (job_id,),
        )
        return run_job(self.runner, self.database, self.kind, job_id)

    def read(self, email: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.get(email["links"]["self"], headers=self.owner.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def states(self, email: dict[str, Any]) -> dict[str, str]:
        return {recipient["address"]: recipient["state"] for recipient in self.read(email)["recipients"]}

    def job(self, email: dict[str, Any]) -> dict[str, Any]:
        return self.client.get(email["links"]["job"], headers=self.owner.headers).json()

    def age(self, email: dict[str, Any]) -> None:
        """Make it so long that an e-mail was first tried that another deferral is the last."""
        self.database.execute(
            "UPDATE recipients SET first_tried_at = clock_timestamp() - interval '25 hours' WHERE email_id = %s",
            (email["id"],),
        )

    def store(self, name: str, media_type: str, content: bytes) -> UUID:
        return store_file(self.database, self.settings, self.owner.id, name, media_type, content)


@pytest.fixture
def post(
    client: TestClient,
    database: psycopg.Connection[Any],
    settings: Settings,
    runner: Runner,
    kinds: dict[str, JobKind],
    owner: Owner,
) -> Post:
    return Post(client, database, settings, runner, kinds["mail.send"], owner)


def store_file(
    database: psycopg.Connection[Any],
    settings: Settings,
    owner_id: UUID,
    name: str,
    media_type: str,
    content: bytes,
    size: int | None = None,
) -> UUID:
    """Store a file as an upload would."""
    file_id = new_id()
    with LocalStorage(settings.storage_dir).writer(upload_key(file_id)) as writer:
        writer.write(content)
        writer.commit()
    database.execute(
        "INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, 'upload', now() + interval '1 day')",
        (file_id, owner_id, name, media_type, len(content) if size is None else size,
         hashlib.sha256(content).hexdigest(), upload_key(file_id)),
    )  # fmt: skip
    return file_id
