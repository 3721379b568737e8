"""A yard: stored files, and jobs of the real kinds run through the real runner."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import redis
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from shared.ids import new_id
from shared.job_events import CHANNEL
from shared.job_kind import JobKind
from shared.local_storage import LocalStorage
from shared.settings import Settings
from shared.storage import Storage, open_storage, upload_key
from tests import factories
from tests.conftest import Owner
from worker.runner import Runner

Row = dict[str, Any]

_INSERT_FILE = """
INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)
VALUES (%s, %s, %s, %s, %s, '', %s, 'upload', now() + make_interval(days => %s))
"""


@dataclass(frozen=True)
class Yard:
    """Is a worker, its storage and its ledger."""

    settings: Settings
    database: psycopg.Connection[Any]
    runner: Runner
    kinds: dict[str, JobKind]
    owner: Owner

    @property
    def storage(self) -> Storage:
        return open_storage(self.settings)

    def store(
        self, name: str, content: bytes = b"", media_type: str = "text/plain", *,
        owner: Owner | None = None, days: int = 1, size: int | None = None,
    ) -> UUID:  # fmt: skip
        """Store a file that expires in this many days."""
        file_id = new_id()
        self.write(upload_key(file_id), content)
        owner_id = (owner or self.owner).id
        self.database.execute(
            _INSERT_FILE,
            (file_id, owner_id, name, media_type, len(content) if size is None else size, upload_key(file_id), days),
        )
        return file_id

    def write(self, key: str, content: bytes = b"orphan") -> str:
        """Write a blob."""
        with self.storage.writer(key) as writer:
            writer.write(content)
            writer.commit()
        return key

    def enqueue(self, kind: str, job_input: Row, **options: Any) -> UUID:
        return factories.enqueue(
            self.database, factories.new_job(self.kinds[kind], self.owner.id, job_input, **options)
        )

    def run(self, kind: str, job_input: Row, **options: Any) -> Row:
        """Run one attempt of a new job and give its row."""
        job_id = self.enqueue(kind, job_input, **options)
        factories.run_job(self.runner, self.database, self.kinds[kind], job_id)
        return self.read("jobs", job_id)

    def read(self, table: str, row_id: UUID | str) -> Row:
        with self.database.cursor(row_factory=dict_row) as cursor:
            statement = SQL("SELECT * FROM {} WHERE id = %s").format(Identifier(table))
            row = cursor.execute(statement, (row_id,)).fetchone()
        assert row is not None
        return row

    def path(self, file_id: UUID | str) -> Path:
        """Give the path of a stored file's blob, in the local directory."""
        return LocalStorage(self.settings.storage_dir).path(self.read("files", file_id)["storage_key"])

    def blobs(self) -> set[str]:
        """Name all blobs, half-written ones included."""
        return {blob.key for blob in self.storage.blobs()}

    def cancel(self) -> None:
        """Ask the running job to stop, as the API would."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            connection.execute("UPDATE jobs SET cancel_requested = true WHERE state = 'running'")

    @contextmanager
    def on_event(self, number: int, action: Callable[[], None]) -> Generator[None]:
        """Act once this many events were published: the claim is the first, the first progress the second."""
        client = redis.Redis.from_url(self.settings.redis_url)
        listener = client.pubsub(ignore_subscribe_messages=False)
        listener.subscribe(CHANNEL)
        assert listener.get_message(timeout=5) is not None

        def wait() -> None:
            seen = 0
            while seen < number:
                seen += listener.get_message(ignore_subscribe_messages=True, timeout=1) is not None
            action()

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            yield
        finally:
            thread.join(timeout=30)
            listener.close()
            client.close()
        assert not thread.is_alive()


@pytest.fixture
def yard(
    settings: Settings, database: psycopg.Connection[Any], kinds: dict[str, JobKind], owner: Owner
) -> Iterator[Yard]:
    with factories.open_runner(settings, kinds) as runner:
        yield Yard(settings, database, runner, kinds, owner)
