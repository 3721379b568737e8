"""What the server tells of jobs, files, presets and accounts. Ids are text; times are aware; nothing here changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobyard.errors import JobFailed
from jobyard.reading import Model


@dataclass(frozen=True, kw_only=True, slots=True)
class JobProgress(Model):
    """Tells how far a job is; all None until its handler says so."""

    completed: int | None = None
    total: int | None = None
    percent: float | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class JobError(Model):
    """Tells why a job or an attempt failed; `code` is a stable word."""

    code: str
    detail: str = ""
    retryable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Job(Model):
    """Is a job as it was at its `version`. `state` is text: a newer server may know states that this client does not.

    `result` is there when it succeeded, `error` when it ended otherwise, `last_error` and `next_attempt_at` while it
    waits for another attempt.
    """

    id: str
    kind: str
    state: str
    done: bool
    version: int
    progress: JobProgress = field(default_factory=JobProgress)
    attempt: int = 0
    max_attempts: int = 1
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    result: Mapping[str, Any] | None = None
    error: JobError | None = None
    last_error: JobError | None = None
    next_attempt_at: datetime | None = None
    tags: tuple[str, ...] = ()
    queue: str = ""
    concurrency_key: str | None = None
    priority: int = 0
    cancel_requested: bool = False
    retried_from: str | None = None
    parent_id: str | None = None
    webhook_url: str | None = None
    created_at: datetime | None = None
    run_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    start_before: datetime | None = None
    purge_at: datetime | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it is done and has a result."""
        return self.state == "succeeded"

    def result_or_raise(self) -> Mapping[str, Any]:
        """Give the result; raises `JobFailed` when it ended otherwise, `ValueError` while it is not done."""
        if self.result is not None:
            return self.result
        if not self.done:
            raise ValueError(f"the job is {self.state}: wait for it first")
        raise JobFailed(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobAttempt(Model):
    """Is one start of a job and how it ended."""

    fence: int
    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str | None = None
    error_code: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class File(Model):
    """Is a stored file; `purpose` is `upload`, or `output` of the job `job_id`. Sizes are bytes."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str
    description: str | None = None
    purpose: str = "upload"
    job_id: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileAndJob(Model):
    """Is a file that was stored, and the job that was enqueued for it."""

    file: File
    job: Job


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBatchItem(Model):
    """Is what became of one file of several: `file`, or the problem document `error` that says why not."""

    index: int
    file: File | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileBatch(Model):
    """Tells what became of each of several files, in their order, and how many were refused."""

    items: tuple[FileBatchItem, ...]
    failed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Link(Model):
    """Is a URL that reads a file without a token until it expires: treat it as a secret. It is not in the repr."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload(Model):
    """Is a resumable upload: where it is, how much of it the server has, and how long it is kept unfinished."""

    url: str
    size: int
    offset: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Tells how far an upload or download is, in bytes; `url` is there for an upload that can be resumed."""

    completed: int
    total: int | None
    url: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePreset(Model):
    """Is a list of renditions under a name of yours."""

    name: str
    renditions: tuple[Mapping[str, Any], ...]
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account(Model):
    """Is the user whose token is used; `role` is `user`, `operator` or `admin`."""

    id: str
    email: str
    role: str
    name: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens(Model):
    """Holds what signs requests, kept out of the repr.

    The access token is good for `expires_in` seconds; the refresh token gives the next pair, once.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_in: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamTicket(Model):
    """Opens one stream as `?ticket=…` of its URL, within so many seconds, in the account's name. Not in the repr."""

    ticket: str = field(repr=False)
    expires_in: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits(Model):
    """Is what this account may send and store, and how much it has, as the server words it."""

    files: Mapping[str, Any]
    quota: Mapping[str, Any]
    images: Mapping[str, Any] = field(default_factory=dict[str, Any])
    archives: Mapping[str, Any] = field(default_factory=dict[str, Any])
    retention: Mapping[str, Any] = field(default_factory=dict[str, Any])
