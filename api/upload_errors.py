"""What can be wrong with an upload."""

from shared.errors import JobyardError


class EmptyFile(JobyardError):
    """Is raised for a file without content."""

    status = 422
    code = "empty_file"
    title = "Empty file"


class MultipartNotValid(JobyardError):
    """Is raised when a multipart body cannot be parsed, or ends early."""

    status = 400
    code = "invalid_multipart"
    title = "Invalid multipart body"


class UploadAborted(JobyardError):
    """Is raised when the client went away; only the log sees it."""

    status = 400
    code = "upload_aborted"
    title = "Upload aborted"


class PartMissing(JobyardError):
    """Is raised when a form lacks a part that it needs."""

    status = 422
    code = "missing_part"
    title = "Invalid input"


class PartUnknown(JobyardError):
    """Is raised for a part that the form does not have."""

    status = 422
    code = "unknown_part"
    title = "Invalid input"


class TooManyParts(JobyardError):
    """Is raised when a form has a part more often than allowed."""

    status = 422
    code = "too_many_parts"
    title = "Invalid input"


class PartNotValid(JobyardError):
    """Is raised when the text of a part is malformed."""

    status = 422
    code = "invalid_part"
    title = "Invalid input"


class KindNotSuited(JobyardError):
    """Is raised for a kind of job that cannot be made of one file alone."""

    status = 422
    code = "kind_not_suited"
    title = "Invalid input"


class NothingStored(JobyardError):
    """Is raised when no file of a batch could be stored."""

    status = 422
    code = "nothing_stored"
    title = "No file was stored"


class BodyTooLarge(JobyardError):
    """Is raised when a JSON body is larger than allowed."""

    status = 413
    code = "body_too_large"
    title = "Body too large"
