"""The body of `POST /v1/mailings`: one template, and up to 10,000 recipients with variables of their own.

It is parsed once; its recipients are checked in turns with other requests.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Self

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from api.due_times import DueTime
from api.email_bodies import Delivery, MailboxText, Priority, Tags, TemplateName
from api.email_headers import Headers
from api.email_variables import Variables
from api.idempotency_key import RequestKey
from api.json_bodies import require_few_values
from shared.errors import JobyardError
from shared.mail_address import Mailbox

MOST_MAILING_RECIPIENTS = 10_000
MOST_NAMED = 20
"""Recipients that an error points to; how many there are is said in words."""
_AT_ONCE = 50
_MOST_ERRORS = 50

_EXAMPLE: dict[str, Any] = {
    "template": "spring-sale",
    "variables": {"ends": "1 May"},
    "recipients": [
        {"to": "Ann Example <ann@example.com>", "variables": {"name": "Ann"}},
        {"to": "ben@example.com", "variables": {"name": "Ben"}},
    ],
}


class RecipientsRepeated(JobyardError):
    """Is raised for a mailing that names an address twice."""

    status = 422
    code = "recipient_given_twice"
    title = "Invalid input"


class MailingRecipient(BaseModel):
    """Names one recipient of a mailing, who gets a message of their own."""

    model_config = ConfigDict(extra="forbid")

    to: MailboxText
    variables: Variables = Field(
        default_factory=dict[str, Any], description="What the template shows to this recipient alone."
    )


class MailingOptions(BaseModel):
    """Is what all messages of a mailing share."""

    model_config = ConfigDict(extra="forbid")

    template: TemplateName = Field(description="A template of yours. The mailing keeps what it says now.")
    variables: Variables = Field(
        default_factory=dict[str, Any],
        description="What the template shows to everyone; of two with one name a recipient's own counts.",
    )
    sender: MailboxText | None = Field(
        None,
        alias="from",
        description="An address that the service may send from (`JOBYARD_MAIL_FROM`, the default, and "
        "`JOBYARD_MAIL_SENDERS`).",
    )
    reply_to: MailboxText | None = None
    headers: Headers = Field(default_factory=dict[str, str])
    unsubscribe: Annotated[bool, Field(strict=True)] = Field(
        default=True,
        description="Offers each recipient to unsubscribe with one click (RFC 8058): whoever does gets no more of your "
        "e-mails. Large mail providers ask this of whatever goes to many.",
    )
    delivery: Delivery = Field(
        "at_least_once",
        description="What is done after a crash in the instant in which the mail server took a message: it is sent "
        "again, under the same Message-ID, or it is not, and its recipient is `uncertain`.",
    )
    tags: Tags = Field(default_factory=list[str])
    priority: Priority = 0
    send_at: DueTime | None = Field(None, description="Not before this time; a time that has passed means at once.")

    @model_validator(mode="after")
    def _require_one_way_out(self) -> Self:
        ours = [name for name in self.headers if self.unsubscribe and name.lower().startswith("list-unsubscribe")]
        if ours:
            error = PydanticCustomError("header_given_twice", "unsubscribe, which is on by itself, adds this header")
            wrong = [InitErrorDetails(type=error, loc=("headers", name), input=None) for name in ours]
            raise ValidationError.from_exception_data("MailingBody", wrong)
        return self


class MailingBody(MailingOptions):
    """Asks for a mailing."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    recipients: list[MailingRecipient] = Field(
        min_length=1, max_length=MOST_MAILING_RECIPIENTS, description="Each address once."
    )


class _Unchecked(MailingOptions):
    recipients: Annotated[list[Any], Field(min_length=1, max_length=MOST_MAILING_RECIPIENTS, strict=True)]


_recipients = TypeAdapter(MailingRecipient)


class Addressee(NamedTuple):
    """Is a recipient that was checked, and the variables of its own."""

    mailbox: Mailbox
    variables: dict[str, Any]


class MailingOrder(NamedTuple):
    """Is what a request asks for, and its key if it has one."""

    options: MailingOptions
    addressees: Sequence[Addressee]
    key: RequestKey | None


async def read_order(content: bytes, key: RequestKey | None) -> MailingOrder:
    """Read a request's body; raises `RequestValidationError`, `RecipientsRepeated`."""
    given = _parse(content)
    try:
        options = _Unchecked.model_validate(given)
    except ValidationError as error:
        raise _malformed(error) from error
    addressees = await _read_addressees(options.recipients)
    _require_each_once(addressees)
    return MailingOrder(options, addressees, key and await _with_body(key, given, options.recipients))


def _parse(content: bytes) -> Any:
    require_few_values(content)
    try:
        # Names that come again and again are one text, which makes a long list half as large.
        return from_json(content, allow_inf_nan=False, cache_strings="keys")
    except (ValueError, RecursionError) as error:
        wrong = {"loc": ("body",), "type": "json_invalid", "msg": "JSON decode error"}
        raise RequestValidationError([wrong]) from error


async def _read_addressees(items: Sequence[Any]) -> list[Addressee]:
    found: list[Addressee] = []
    wrong: list[Any] = []
    for index, item in enumerate(items):
        await _let_others(index)
        try:
            recipient = _recipients.validate_python(item)
        except ValidationError as error:
            wrong += _malformed(error, "recipients", index).errors()
            if len(wrong) >= _MOST_ERRORS:
                break
        else:
            found.append(Addressee(recipient.to, recipient.variables))
    if wrong:
        raise RequestValidationError(wrong)
    return found


def _malformed(error: ValidationError, *place: str | int) -> RequestValidationError:
    found = error.errors(include_url=False, include_input=False)
    return RequestValidationError([each | {"loc": ("body", *place, *each["loc"])} for each in found])


def _require_each_once(addressees: Sequence[Addressee]) -> None:
    repeated = list(_repeated(addressees))
    if repeated:
        error = RecipientsRepeated(
            f"Each recipient gets one message; so many are named before under the same address: {len(repeated)}."
        )
        error.pointers = tuple(f"/recipients/{index}/to" for index in repeated[:MOST_NAMED])
        raise error


def _repeated(addressees: Sequence[Addressee]) -> Iterator[int]:
    seen: set[str] = set()
    for index, addressee in enumerate(addressees):
        if addressee.mailbox.key in seen:
            yield index
        seen.add(addressee.mailbox.key)


async def _with_body(key: RequestKey, given: dict[str, Any], items: Sequence[Any]) -> RequestKey:
    digest = hashlib.sha256()
    for index, item in enumerate(items):
        await _let_others(index)
        digest.update(json.dumps(item, sort_keys=True, separators=(",", ":")).encode())
    return key.with_body({"json": given | {"recipients": digest.hexdigest()}})


async def _let_others(index: int) -> None:
    """Let other requests be served now and then."""
    if index % _AT_ONCE == 0:
        await asyncio.sleep(0)
