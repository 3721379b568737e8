"""What a request's `Content-Type` says."""

from fastapi import Request

from shared.errors import JobyardError

JSON = "application/json"


class ContentTypeNotSupported(JobyardError):
    """Is raised when a route cannot read bodies of this kind."""

    status = 415
    code = "content_type_not_supported"
    title = "Content type not supported"


def content_type(request: Request) -> str:
    """Give the media type that the request declares, in lower case and without parameters; empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_json(request: Request) -> None:
    """Raise `ContentTypeNotSupported` unless the request declares JSON."""
    declared = content_type(request)
    if declared != JSON and not (declared.startswith("application/") and declared.endswith("+json")):
        raise ContentTypeNotSupported(f"The body must be {JSON}.")
