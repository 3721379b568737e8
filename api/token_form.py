"""The form of `POST /v1/auth/token`, read here and not by the framework.

The framework decodes such a body as Latin-1, so `curl -d` with an "é" in the password would fail; it turns invalid
UTF-8 into replacement characters, and answers a wrong content type with "missing fields".
"""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.account_bodies import TokenForm
from api.content_types import ContentTypeNotSupported, content_type
from shared.errors import JobyardError

MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20

OPENAPI: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            MEDIA_TYPE: {
                "schema": TokenForm.model_json_schema(),
                "example": {"username": "ada@example.com", "password": "correct horse battery staple"},
            }
        },
    }
}


class FormNotValid(JobyardError):
    """Is raised for a form that cannot be read."""

    status = 422
    code = "invalid_form"
    title = "Invalid input"


async def read_token_form(request: Request) -> TokenForm:
    """Read the form; raises `ContentTypeNotSupported`, `FormNotValid`, or FastAPI's own error for wrong fields."""
    if content_type(request) != MEDIA_TYPE:
        raise ContentTypeNotSupported(f"The body must be {MEDIA_TYPE}; /v1/auth/login takes JSON.")
    body = await request.body()
    try:
        fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise FormNotValid("The form is not valid UTF-8, or has too many fields.") from error
    try:
        return TokenForm.model_validate(dict(fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from None
