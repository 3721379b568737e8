"""What can be wrong with a resumable upload, beside what can be wrong with any."""

from shared.errors import JobyardError


class UploadNotFound(JobyardError):
    """Is raised for an upload that does not exist or is another owner's."""

    status = 404
    code = "upload_not_found"
    title = "Upload not found"


class UploadHeaderNotValid(JobyardError):
    """Is raised when a header of the protocol is missing, malformed or asks for what is not supported."""

    status = 400
    code = "invalid_upload_header"
    title = "Invalid header"


class OffsetMismatch(JobyardError):
    """Is raised when a request would continue at another place than where the upload is."""

    status = 409
    code = "offset_mismatch"
    title = "The upload is at another offset"


class UploadTakenOver(JobyardError):
    """Is raised when another request continued the upload meanwhile."""

    status = 409
    code = "upload_taken_over"
    title = "Another request continues the upload"


class TooManyUploadParts(JobyardError):
    """Is raised when an upload comes in more pieces than are kept."""

    status = 409
    code = "too_many_upload_parts"
    title = "The upload came in too many pieces"


class UploadFinished(JobyardError):
    """Is raised when an upload is to be given up that is a file by now."""

    status = 409
    code = "upload_finished"
    title = "The upload is a file by now"


class UploadDamaged(JobyardError):
    """Is raised when the storage lost a part of an upload, which is given up then."""

    status = 410
    code = "upload_damaged"
    title = "A part of the upload was lost"


class UploadBusy(JobyardError):
    """Is raised while another request turns the upload into a file."""

    status = 423
    code = "upload_busy"
    title = "The upload is being finished"


class ChecksumMismatch(JobyardError):
    """Is raised when a body does not have the checksum that its request announced."""

    status = 460
    code = "checksum_mismatch"
    title = "Checksum mismatch"
