"""The surroundings that a handler is given: `shared.job_context.JobContext` made true for one attempt."""

import logging
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import UUID

from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from shared.errors import StorageUnavailable
from shared.ids import new_id
from shared.job_context import OutputFile
from shared.job_events import EventPublisher
from shared.job_kind import JobKind
from shared.job_outcome import Cancelled, Fail
from shared.job_queue import NewJob, job_of
from shared.models import File
from shared.settings import Settings
from shared.storage import BlobWriter, Storage, output_key
from worker.heartbeat import Heartbeat, Watch
from worker.ledger import Claim, Progress

logger = logging.getLogger(__name__)

READ_BYTES = 256 * 1024


class AttemptLost(Cancelled):
    """Is raised when the row no longer carries this attempt's fence: nothing may be recorded any more."""


class Output:
    """Is an output in the making, and then its description."""

    def __init__(self, name: str, media_type: str, key: str, file_id: UUID, writer: BlobWriter) -> None:
        self.name = name
        self.media_type = media_type
        self.storage_key = key
        self.file_id = file_id
        self.stream = cast("BinaryIO", writer)
        self._writer = writer

    def set_media_type(self, media_type: str) -> None:
        """Correct the media type, once it is known."""
        self.media_type = media_type

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._writer.size

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of what was written so far."""
        return self._writer.sha256


class AttemptContext:
    """Is the context of one attempt; see `JobContext` for what its methods promise."""

    def __init__(
        self,
        held: Claim,
        settings: Settings,
        storage: Storage,
        engine: Engine,
        heartbeat: Heartbeat,
        watch: Watch,
        kinds: dict[str, JobKind],
        events: EventPublisher,
    ) -> None:
        self._held = held
        self._events = events
        self.storage = storage
        self._engine = engine
        self._heartbeat = heartbeat
        self._watch = watch
        self._kinds = kinds
        self._reported: Progress | None = None
        self.settings = settings
        self.outputs: list[Output] = []
        self.follow_ups: list[NewJob] = []

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self._held.job_id

    @property
    def owner_id(self) -> UUID:
        """The id of the job's owner."""
        return self._held.owner_id

    @property
    def fence(self) -> int:
        """The number of this claim."""
        return self._held.fence

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._held.attempt

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure now ends the job."""
        return self._held.attempt >= self._held.row.max_attempts

    @property
    def is_stopping(self) -> bool:
        """Whether the worker is about to stop."""
        return self._heartbeat.is_stopping()

    @property
    def last_progress(self) -> Progress | None:
        """The last progress that was reported; the heartbeat may not have written it yet, or be about to, too late."""
        return self._reported

    def session(self) -> AbstractContextManager[Session]:
        """Open a session in a transaction."""
        return self._open_session()

    @contextmanager
    def _open_session(self) -> Generator[Session]:
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    def guard(self, session: Session) -> None:
        """Lock the row and check the fence."""
        statement = text("SELECT 1 FROM jobs WHERE id = :id AND fence = :fence AND state = 'running' FOR NO KEY UPDATE")
        if session.execute(statement, {"id": self.job_id, "fence": self._held.fence}).first() is None:
            raise AttemptLost

    def file(self, file_id: UUID) -> File:
        """Read the row of one of the owner's files."""
        with self.session() as session:
            file = session.scalar(select(File).where(File.id == file_id, File.owner_id == self.owner_id))
        if file is None:
            raise Fail("file_not_found", f"File {file_id} does not exist.")
        return file

    def open_file(self, file: File) -> BinaryIO:
        """Open a stored file."""
        with _content_of(file):
            # Buffered: by lines, a raw stream is read byte by byte.
            return BufferedReader(self.storage.open(file.storage_key), READ_BYTES)

    @contextmanager
    def local_path(self, file: File) -> Generator[Path]:
        """Give a stored file's path."""
        with ExitStack() as stack:
            with _content_of(file):
                path = stack.enter_context(self.storage.local_path(file.storage_key))
            yield path

    def output(self, name: str, media_type: str) -> AbstractContextManager[OutputFile]:
        """Write a new file."""
        return self._write_output(name, media_type)

    @contextmanager
    def _write_output(self, name: str, media_type: str) -> Generator[OutputFile]:
        file_id = new_id()
        key = output_key(self.job_id, self._held.fence, file_id)
        with self.storage.writer(key) as writer:
            output = Output(name, media_type, key, file_id, writer)
            yield output
            writer.commit()
        self.outputs.append(output)

    def discard_outputs(self) -> None:
        """Delete what this attempt wrote; its keys carry the fence, so the winner's files are never touched."""
        try:
            self.storage.delete(*(output.storage_key for output in self.outputs))
        except StorageUnavailable:
            # How the attempt ended must be recorded all the same; files.clean finds what is left.
            logger.warning("outputs of job %s were not deleted; files.clean will", self.job_id, exc_info=True)

    def progress(self, completed: int, total: int | None = None, message: str | None = None) -> None:
        """Report progress and look for a cancel request."""
        self._reported = Progress(completed, total, message)
        self._heartbeat.report(self._watch, self._reported)
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Raise when the attempt should end."""
        if self._watch.lost:
            raise AttemptLost
        if self._watch.cancel_requested:
            raise Cancelled
        self._heartbeat.ask(self._watch)

    def enqueue(self, kind: str, job_input: dict[str, Any]) -> UUID:
        """Register a follow-up job."""
        known = self._kinds[kind]
        checked = known.input_model.model_validate(job_input)
        new = replace(
            job_of(known, self.owner_id, checked, self.settings),
            priority=self._held.row.priority,
            parent_id=self.job_id,
        )
        self.follow_ups.append(new)
        return new.id

    def announce_changes(self) -> None:
        """Tell those who watch the owner's jobs that some have changed."""
        self._events.publish_news(self.owner_id)


@contextmanager
def _content_of(file: File) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Fail("file_not_found", f"The content of file {file.id} is gone.") from None
