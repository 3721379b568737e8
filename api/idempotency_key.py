"""The header `Idempotency-Key`: what may stand in it, and what it is the key of.

A key belongs to its owner and to a route: the method and the path as sent, so that two jobs can be retried under one
key. What must be the same the second time is the query and the body; `Prefer` may differ.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, ValidationError

from api.deps import CallerDep
from shared.ids import new_id

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_DESCRIPTION = (
    "Any text of your choice, new for each thing to be made. Sent again within 24 hours with the same body, the request"
    " is done once and gets the first answer again."
)

KeyText = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[ -~]+$")]
_texts: TypeAdapter[str] = TypeAdapter(KeyText)

KEY_PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "schema": _texts.json_schema(),
    "description": _DESCRIPTION,
    "example": "order-4711",
}
REPLAYED_HEADER: dict[str, Any] = {
    REPLAYED: {"schema": {"type": "string", "enum": ["true"]}, "description": "This answer was given before."}
}


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names a request that its client may repeat; `body_hash` is None until the body is known.

    `claim_id` is this sending's own: what it writes under the key is guarded by it.
    """

    owner_id: UUID
    route: str
    text: str
    query: list[tuple[str, str]]
    body_hash: bytes | None = None
    claim_id: UUID = field(default_factory=new_id)

    def columns(self) -> dict[str, Any]:
        """Give the columns that find the key's row, and the claim."""
        return {"owner_id": self.owner_id, "route": self.route, "key": self.text, "claim_id": self.claim_id}

    def with_body(self, described: Any) -> Self:
        """Give the key of a request with this body, described by a JSON value."""
        canonical = json.dumps([sorted(self.query), described], sort_keys=True, separators=(",", ":"))
        return replace(self, body_hash=hashlib.sha256(canonical.encode()).digest())

    def with_json(self, body: bytes) -> Self:
        """Give the key of a request with this JSON body: neither blanks nor the order of names count."""
        try:
            return self.with_body({"json": json.loads(body)})
        except (ValueError, RecursionError):
            # A route that needs JSON has refused it already; one that needs no body takes it as it stands.
            return self.with_body({"sha256": hashlib.sha256(body).hexdigest()})


def read_key(request: Request, owner_id: UUID) -> RequestKey | None:
    """Read the key of a request outside FastAPI's dependencies; raises `RequestValidationError`."""
    text = request.headers.get(HEADER)
    if text is None:
        return None
    try:
        return _key_of(request, owner_id, _texts.validate_python(text))
    except ValidationError as error:
        found = [item | {"loc": ("header", HEADER.lower())} for item in error.errors(include_url=False)]
        raise RequestValidationError(found) from error


async def _upload_key(
    request: Request,
    caller: CallerDep,
    idempotency_key: Annotated[KeyText | None, Header(description=_DESCRIPTION, examples=["order-4711"])] = None,
) -> RequestKey | None:
    return None if idempotency_key is None else _key_of(request, caller.user_id, idempotency_key)


def _key_of(request: Request, owner_id: UUID, text: str) -> RequestKey:
    route = f"{request.method} {request.scope['path']}"
    return RequestKey(owner_id, route, text, request.query_params.multi_items())


UploadKeyDep = Annotated[RequestKey | None, Depends(_upload_key)]
"""The key of a request whose body the route reads by itself."""


async def _json_key(request: Request, key: UploadKeyDep) -> RequestKey | None:
    return None if key is None else key.with_json(await request.body())


JsonKeyDep = Annotated[RequestKey | None, Depends(_json_key)]
"""The key of a request with a JSON body, or with none."""
