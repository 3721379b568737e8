"""What a handler is given: the contract that `worker.context` fulfils."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from shared.models import File
from shared.settings import Settings
from shared.storage import Storage


class OutputFile(Protocol):
    """Is a file that an attempt is writing; it becomes a `File` only if the attempt succeeds."""

    file_id: UUID
    stream: BinaryIO

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def set_media_type(self, media_type: str) -> None:
        """Correct the media type, once it is known."""
        ...


class JobContext(Protocol):
    """Gives a handler its job's surroundings. All methods are synchronous and safe from any thread.

    A handler ends early where it calls `progress()` or `check_cancelled()`. One that does not call them is broken into:
    a second after a heartbeat has learned of the cancel request, or that the claim is lost, `Cancelled` is raised at
    whatever instruction it is; 2.5 s after the worker began to stop a `BaseException` is, which puts the job back. It
    is raised again with every heartbeat until the handler ends. Kinds that are `interruptible=False` are spared.
    """

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        ...

    @property
    def owner_id(self) -> UUID:
        """The id of the job's owner."""
        ...

    @property
    def fence(self) -> int:
        """The number of this claim, which rises with each and never repeats: a statement can guard itself by it."""
        ...

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        ...

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure now ends the job."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether the worker is about to stop: a handler that is not interruptible should come to its end."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        ...

    @property
    def storage(self) -> Storage:
        """The storage, for kinds that look after it; others read by `open_file` and write by `output`."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """Open a database session whose transaction commits when the block ends without an error."""
        ...

    def guard(self, session: Session) -> None:
        """Lock the job's row in this transaction and make sure that this attempt still owns the job.

        Raises `Cancelled` when it does not: nothing that follows may be written.
        """
        ...

    def file(self, file_id: UUID) -> File:
        """Read the row of one of the owner's files; raises `Fail("file_not_found", …)` when it is gone."""
        ...

    def open_file(self, file: File) -> BinaryIO:
        """Open a stored file, to be read from front to back; raises `Fail("file_not_found", …)` without its blob."""
        ...

    def local_path(self, file: File) -> AbstractContextManager[Path]:
        """Give a path to read a stored file at within this block; raises as `open_file`."""
        ...

    def output(self, name: str, media_type: str) -> AbstractContextManager[OutputFile]:
        """Write a new file of the job's owner, registered together with the job's success."""
        ...

    def progress(self, completed: int, total: int | None = None, message: str | None = None) -> None:
        """Report progress (cheap: written at most a few times a second); raises `Cancelled` on a cancel request."""
        ...

    def check_cancelled(self) -> None:
        """Raise `Cancelled` when the job's cancellation was requested or its claim was lost."""
        ...

    def enqueue(self, kind: str, job_input: dict[str, Any]) -> UUID:
        """Register a follow-up job, which comes to be together with this job's success."""
        ...

    def announce_changes(self) -> None:
        """Tell those who watch the owner's jobs that others than this one have changed; call it after the commit.

        It is a hint: what is not told they find a second later.
        """
        ...
