"""Exit statuses: few, documented in docs/command.md, and stable, so that scripts can trust them."""

from enum import IntEnum

from jobyard.errors import (
    AnswerNotValid,
    ConnectionFailed,
    Forbidden,
    JobyardError,
    NotFound,
    RateLimited,
    ServerFailed,
    Unauthorized,
    Unavailable,
    UploadInterrupted,
    WaitTimeout,
)


class ExitStatus(IntEnum):
    """Tells a script what became of a command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    INVALID = 5
    UNREACHABLE = 6
    TIMED_OUT = 7
    INTERRUPTED = 130


class CommandFailed(Exception):
    """Is raised for what the command itself finds wrong; it becomes one line and an exit status."""

    def __init__(self, title: str, detail: str, *, code: str, status: ExitStatus = ExitStatus.FAILED) -> None:
        super().__init__(detail)
        self.title = title
        self.detail = detail
        self.code = code
        self.status = status


_STATUSES: tuple[tuple[tuple[type[JobyardError], ...], ExitStatus], ...] = (
    ((Unauthorized, Forbidden), ExitStatus.REFUSED),
    ((NotFound,), ExitStatus.NOT_FOUND),
    ((RateLimited, Unavailable, ServerFailed, ConnectionFailed, AnswerNotValid), ExitStatus.UNREACHABLE),
    ((WaitTimeout,), ExitStatus.TIMED_OUT),
)
_FIRST_CLIENT_STATUS, _FIRST_SERVER_STATUS = 400, 500


def status_of(error: JobyardError) -> ExitStatus:
    """Give the exit status of what the client raised."""
    if isinstance(error, UploadInterrupted) and isinstance(error.__cause__, JobyardError):
        return status_of(error.__cause__)
    for kinds, status in _STATUSES:
        if isinstance(error, kinds):
            return status
    if error.status is None:
        return ExitStatus.FAILED
    if error.status >= _FIRST_SERVER_STATUS:
        return ExitStatus.UNREACHABLE
    return ExitStatus.INVALID if error.status >= _FIRST_CLIENT_STATUS else ExitStatus.FAILED
