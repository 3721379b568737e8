"""Errors of the domain. Each declares once how it looks from outside: a stable code, a title, a status.

`str(error)` is public; what only operators may read belongs in the log.
"""

from typing import ClassVar


class JobyardError(Exception):
    """Is the base of errors that a client may see."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"
    title: ClassVar[str] = "Bad request"
    pointer: str | None = None
    pointers: tuple[str, ...] = ()
    """Where it is wrong, if that is in more than one place."""

    def __init__(self, detail: str, *, pointer: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.headers = headers or {}


class JobNotFound(JobyardError):
    """Is raised for a job that does not exist or is another owner's."""

    status = 404
    code = "job_not_found"
    title = "Job not found"


class EmailNotFound(JobyardError):
    """Is raised for an e-mail that does not exist or is another owner's."""

    status = 404
    code = "email_not_found"
    title = "E-mail not found"


class FileNotFound(JobyardError):
    """Is raised for a file that does not exist or is another owner's."""

    status = 404
    code = "file_not_found"
    title = "File not found"


class FileInUse(JobyardError):
    """Is raised when a live job still needs the file."""

    status = 409
    code = "file_in_use"
    title = "File in use"


class FileTooLarge(JobyardError):
    """Is raised when a file, or the form around it, or all files of a job together, are larger than allowed."""

    status = 413
    code = "file_too_large"
    title = "File too large"


class MediaTypeNotAllowed(JobyardError):
    """Is raised when a file's content is of a type that may not be stored, or that a kind of job does not take."""

    status = 415
    code = "media_type_not_allowed"
    title = "Media type not allowed"


class IllegalTransition(JobyardError):
    """Is raised when a job's state does not allow what was asked."""

    status = 409
    code = "illegal_transition"
    title = "The job's state does not allow this"


class StorageFull(JobyardError):
    """Is raised when the storage has no room left."""

    status = 507
    code = "storage_full"
    title = "Storage full"


class StorageUnavailable(JobyardError):
    """Is raised when the storage cannot be reached or written."""

    status = 503
    code = "storage_unavailable"
    title = "Storage unavailable"
