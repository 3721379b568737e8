"""How OpenAPI describes the reading of a content, whose headers are evaluated by hand."""

from typing import Any

from api.file_bodies import BINARY
from api.problems import problems

_TEXT = {"type": "string"}
_DESCRIBING = {
    "ETag": "The content's SHA-256, as a strong entity tag.",
    "Last-Modified": "When it was stored.",
    "Cache-Control": "With a token `private, no-cache`; by a link `immutable` for as long as the link lasts.",
}
_SENT = _DESCRIBING | {
    "Content-Disposition": "`attachment` or `inline`, and the name (RFC 6266, RFC 8187).",
    "Accept-Ranges": "`bytes`.",
    "Content-Length": "Bytes that follow.",
}
_PARAMETERS = {
    "Range": (
        "One range of bytes (RFC 9110, section 14): `bytes=0-99`, `bytes=100-`, `bytes=-100`. Several at once, and what"
        " cannot be read, are answered with the whole content."
    ),
    "If-Range": "The `ETag` or `Last-Modified` of the content that the range is of; of another the whole comes.",
    "If-Match": "Entity tags; 412 when none of them is the content's.",
    "If-None-Match": "Entity tags; 304 when one of them is the content's.",
    "If-Modified-Since": "A date; 304 when the content is not newer.",
    "If-Unmodified-Since": "A date; 412 when the content is newer.",
}


def _headers(texts: dict[str, str]) -> dict[str, Any]:
    return {name: {"schema": _TEXT, "description": text} for name, text in texts.items()}


def _answer(description: str, headers: dict[str, str], *, content: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "headers": _headers(headers)}
    return answer | ({"content": {"*/*": {"schema": BINARY}}} if content else {})


def _refusals() -> dict[int | str, dict[str, Any]]:
    refusals = problems(401, 403, 404, 410, 412)
    refusals[403]["description"] = "`link_expired`, or `link_not_valid`: a link that we did not sign, or was changed."
    refusals[412]["description"] = "`If-Match` or `If-Unmodified-Since` names another content."
    return refusals


_HEAD_ONLY: dict[int | str, dict[str, Any]] = {
    200: _answer("The headers of the whole content.", _SENT),
    304: _answer("The client has it.", _DESCRIBING),
}
HEAD_ANSWERS = _HEAD_ONLY | _refusals()

_OUTSIDE = problems(416)[416] | {"headers": _headers({"Content-Range": "`bytes */size`."})}
GET_ANSWERS: dict[int | str, dict[str, Any]] = HEAD_ANSWERS | {
    200: _answer("The whole content.", _SENT, content=True),
    206: _answer("The range.", _SENT | {"Content-Range": "`bytes first-last/size`."}, content=True),
    416: _OUTSIDE,
}


def _parameters(names: list[str]) -> dict[str, Any]:
    described = {name: {"in": "header", "name": name, "required": False, "schema": _TEXT} for name in names}
    return {"parameters": [described[name] | {"description": _PARAMETERS[name]} for name in names]}


GET_PARAMETERS = _parameters(list(_PARAMETERS))
HEAD_PARAMETERS = _parameters([name for name in _PARAMETERS if "Range" not in name])
