"""How OpenAPI describes the headers and bodies of resumable uploads, which are read by hand."""

from typing import Any

from api.file_bodies import BINARY
from api.idempotency_key import REPLAYED_HEADER
from api.problems import problems
from api.tus_headers import BODY_TYPE, CHECKSUM_ALGORITHMS, FILE_HEADER, LONGEST_METADATA, VERSION

_BYTES: dict[str, Any] = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_TEXT: dict[str, Any] = {"type": "string"}


def _parameter(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


VERSION_PARAMETER = _parameter("Tus-Resumable", {"type": "string", "enum": [VERSION]}, "The version of tus.")
_CHECKSUM = _parameter(
    "Upload-Checksum",
    _TEXT,
    f"One of {', '.join(CHECKSUM_ALGORITHMS)}, a space, and the body's digest in base64. All of it counts or nothing.",
)
CREATION: dict[str, Any] = {
    "parameters": [
        VERSION_PARAMETER,
        _parameter("Upload-Length", _BYTES, "How many bytes the file has.", required=True),
        _parameter(
            "Upload-Metadata",
            {"type": "string", "maxLength": LONGEST_METADATA},
            "Pairs of a key and its value in base64, with commas. `filename` and `description` mean something.",
        ),
        _CHECKSUM,
    ],
    "requestBody": {
        "required": False,
        "content": {BODY_TYPE: {"schema": BINARY | {"description": "The first bytes of the file, or all of them."}}},
    },
}
APPENDING: dict[str, Any] = {
    "parameters": [
        VERSION_PARAMETER,
        _parameter("Upload-Offset", _BYTES, "Where the upload is.", required=True),
        _CHECKSUM,
    ],
    "requestBody": {"required": True, "content": {BODY_TYPE: {"schema": BINARY}}},
}
ASKING: dict[str, Any] = {"parameters": [VERSION_PARAMETER]}


def _headers(**more: str) -> dict[str, Any]:
    told = {
        "Upload-Offset": "How many bytes are stored.",
        "Upload-Expires": "When it is given up unless continued.",
        FILE_HEADER: "The path of the file, once every byte is there.",
    }
    return {name: {"schema": _TEXT, "description": text} for name, text in {**more, **told}.items()}


_WITH_BODY = (401, 412, 415, 423, 460, 507)
OPTIONS = {204: {"description": "What of tus is spoken here, in headers."}} | problems()
CREATED = {
    201: {"description": "Begun.", "headers": _headers(Location="The path of the upload.") | REPLAYED_HEADER}
} | problems(409, *_WITH_BODY)
APPENDED = {204: {"description": "Stored.", "headers": _headers()}} | problems(404, 409, 410, *_WITH_BODY)
STATE = {
    200: {"description": "Where to continue.", "headers": _headers(**{"Upload-Length": "How many bytes it will have."})}
} | problems(401, 404, 410, 412, 415, 423, 507)
ENDED = problems(401, 404, 409, 412)
