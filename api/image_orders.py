"""What is asked to be made of a picture, as the bodies of `POST /v1/images` say it: JSON, or the parts of a form."""

import json
import re
from typing import Any, Self
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.image_presets import PresetName
from api.job_bodies import WebhookUrl
from api.upload_errors import PartNotValid
from api.uploads import missing_part
from shared.rendition import RenditionInput, Renditions

PLAIN_PARTS = tuple(RenditionInput.model_fields)
"""The parts of a form that say one rendition without JSON."""
ORDER_PARTS = frozenset({"renditions", "preset", "keep_copyright", "webhook_url", *PLAIN_PARTS})

_INTEGER = re.compile(r"-?[0-9]{1,40}")
_Location = tuple[int | str, ...]


class ImageOrder(BaseModel):
    """Names a stored picture and what to make of it: renditions, or a preset of yours."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "file_id": "0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a",
                "renditions": [{"width": 1600}, {"width": 200, "height": 200, "fit": "cover", "format": "webp"}],
            }
        },
    )

    file_id: UUID
    renditions: Renditions | None = None
    preset: PresetName | None = Field(
        None, description="In place of renditions: a preset, as it is now.", examples=["product-page"]
    )
    keep_copyright: bool = Field(default=False, strict=True, description="Whether to keep author and copyright.")

    webhook_url: WebhookUrl | None = None

    @model_validator(mode="after")
    def _require_one_of_the_two(self) -> Self:
        if self.renditions is not None and self.preset is not None:
            raise _at("preset", PydanticCustomError("renditions_twice", "Send either renditions or a preset"))
        if self.renditions is None and self.preset is None:
            raise _at("renditions", PydanticCustomError("missing", "Send renditions or a preset"))
        return self


def _at(name: str, error: PydanticCustomError) -> ValidationError:
    # Raised as it is, it would point to the whole body.
    return ValidationError.from_exception_data("ImageOrder", [InitErrorDetails(type=error, loc=(name,), input=None)])


def read_order(text: bytes | bytearray) -> ImageOrder:
    """Read an order in JSON; raises `RequestValidationError`."""
    return _check(_decode(text, ()))


def read_form_order(file_id: UUID, texts: dict[str, str]) -> ImageOrder:
    """Read an order from a form's parts; one that is empty counts as not sent.

    Raises `PartMissing` when they do not say what to make, `PartNotValid` when they say it twice, and
    `RequestValidationError`.
    """
    sent = {name: text for name, text in texts.items() if text}
    plain = {name: _plain(sent.pop(name)) for name in PLAIN_PARTS if name in sent}
    order: dict[str, Any] = sent | {"file_id": file_id}
    if "keep_copyright" in sent:
        order["keep_copyright"] = _plain(sent["keep_copyright"])
    if "renditions" in sent:
        order["renditions"] = _decode(sent["renditions"], ("renditions",))
    if not plain:
        if not sent.keys() & {"renditions", "preset"}:
            raise missing_part("renditions")
        return _check(order)
    if sent.keys() & {"renditions", "preset"}:
        raise PartNotValid("Send one of renditions, a preset and plain parts.", pointer=f"/{next(iter(plain))}")
    return _check(order | {"renditions": [plain]}, within=("renditions", 0))


def _plain(text: str) -> str | int | bool:
    # What is no number or word of these stays text, and the order's own rules complain.
    if text in {"true", "false"}:
        return text == "true"
    return int(text) if _INTEGER.fullmatch(text) else text


def _decode(text: str | bytes | bytearray, location: _Location) -> Any:
    try:
        return json.loads(text)
    # A RecursionError is a document nested too deeply.
    except (ValueError, RecursionError) as error:
        raise _invalid({"type": "json_invalid", "loc": location, "msg": "It is not JSON."}) from error


def _check(given: Any, within: _Location = ()) -> ImageOrder:
    try:
        return ImageOrder.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    items = [dict(item) | {"loc": _without(within, item["loc"])} for item in found]
    raise _invalid(*items)


def _without(within: _Location, location: _Location) -> _Location:
    # A client that sent plain parts never wrote the levels around them.
    return location[len(within) :] if location[: len(within)] == within else location


def _invalid(*items: dict[str, Any]) -> RequestValidationError:
    return RequestValidationError([item | {"loc": ("body", *item["loc"])} for item in items])
