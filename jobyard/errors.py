"""What the client raises: one class for each thing that a caller may want to tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobyard.models import Job


@dataclass(frozen=True, slots=True)
class InputProblem:
    """Names one thing that is wrong with the input: where, a stable word, and a sentence."""

    pointer: str
    code: str
    detail: str


class JobyardError(Exception):
    """Is the base of all that the client raises, but for wrong arguments (`ValueError`) and local files (`OSError`).

    What the server said stands in `status`, `code`, `title`, `detail`, `errors` and `request_id`; without an answer
    `status` and `request_id` are None. No message and no repr has a token or a password in it.
    """

    code = "client_error"
    title = "Failed"
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None
    errors: Sequence[InputProblem] = ()

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ServerError(JobyardError):
    """Is raised for an answer that is an error; its subclasses tell the usual ones apart."""

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        code: str,
        title: str,
        errors: Sequence[InputProblem] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.title = title
        self.errors = errors
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        wrong = "".join(f"; {each.pointer}: {each.detail}" for each in self.errors)
        return f"{self.detail} ({self.status} {self.code}){wrong}"


class InvalidInput(ServerError):
    """Is raised when the server refuses what it was sent (400, 415, 422 and others); `errors` names what is wrong."""


class Unauthorized(ServerError):
    """Is raised without credentials, or when they are not, or no longer, valid (401)."""


class Forbidden(ServerError):
    """Is raised when this account may not do that (403)."""


class NotFound(ServerError):
    """Is raised for what does not exist or belongs to somebody else (404, 410)."""


class Conflict(ServerError):
    """Is raised when the state of a thing does not allow what was asked (409, 412, 423)."""


class TooLarge(ServerError):
    """Is raised when something is larger than the server takes (413, 431), or has no room for (507)."""


class RateLimited(ServerError):
    """Is raised when there were too many requests, after all retries (429); `retry_after` is in seconds."""


class Unavailable(ServerError):
    """Is raised when the server, or what it needs, is away, after all retries (502, 503, 504)."""


class ServerFailed(ServerError):
    """Is raised when the server failed by a mistake of its own (500 and others)."""


class ConnectionFailed(JobyardError):
    """Is raised when no answer came, after all retries.

    `sent` says whether the request may have arrived, `timed_out` whether it was waited for in vain.
    """

    code = "connection_failed"
    title = "No answer"

    def __init__(self, detail: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.sent = sent
        self.timed_out = timed_out


class AnswerNotValid(JobyardError):
    """Is raised when what answered is not Jobyard, or not as this client knows it."""

    code = "answer_not_valid"
    title = "Not understood"


class ContentMismatch(JobyardError):
    """Is raised when a download does not have the size and the SHA-256 that the server says; nothing of it is kept."""

    code = "content_mismatch"
    title = "Content damaged"


class UploadInterrupted(JobyardError):
    """Is raised when a resumable upload broke off for good; `resume_upload(url, …)` continues it, in any process.

    The reason is its `__cause__`.
    """

    code = "upload_interrupted"
    title = "Upload interrupted"

    def __init__(self, detail: str, *, url: str) -> None:
        super().__init__(detail)
        self.url = url


class WaitTimeout(JobyardError, TimeoutError):
    """Is raised when a job is not done in time; `job` is the newest that is known of it, if anything is."""

    code = "wait_timeout"
    title = "Not done in time"

    def __init__(self, detail: str, job: "Job | None") -> None:
        super().__init__(detail)
        self.job = job


class JobFailed(JobyardError):
    """Is raised for a job that ended without success, where its result was asked for; `job` is the job."""

    title = "Job failed"

    def __init__(self, job: "Job") -> None:
        why = f": {job.error.code}: {job.error.detail}" if job.error else ""
        super().__init__(f"{job.kind} job {job.id} is {job.state}{why}")
        self.job = job
        self.code = job.error.code if job.error else job.state


class WebhookNotValid(JobyardError):
    """Is raised for a webhook that was not signed with the secret, was changed, or is too old."""

    code = "webhook_not_valid"
    title = "Webhook not valid"


_CLASSES: Mapping[int, type[ServerError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    413: TooLarge,
    423: Conflict,
    429: RateLimited,
    431: TooLarge,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: TooLarge,
}
_FIRST_SERVER_STATUS = 500


def class_of(status: int) -> type[ServerError]:
    """Give the class of the error that a status means."""
    return _CLASSES.get(status, ServerFailed if status >= _FIRST_SERVER_STATUS else InvalidInput)
