"""The bodies of `POST /v1/emails` and of its change."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from api.due_times import DueTime
from api.email_headers import Headers
from api.email_variables import Variables, require_storable
from api.job_bodies import Tag
from shared.email_shapes import Delivery, InlineImageBody
from shared.mail_address import LONGEST_MAILBOX, Mailbox, is_one_line, parse_mailbox

MOST_RECIPIENTS = 50
MOST_ATTACHMENTS = 10
MOST_INLINE_IMAGES = 20
LONGEST_SUBJECT = 998


def _mailbox(value: object) -> Mailbox:
    if not isinstance(value, str) or len(value) > LONGEST_MAILBOX:
        raise ValueError(f"must be a text of at most {LONGEST_MAILBOX} characters")
    return parse_mailbox(value)


def _one_line(text: str) -> str:
    if not is_one_line(text):
        raise ValueError("must be one line, without control characters")
    return text


MailboxText = Annotated[
    Mailbox,
    PlainValidator(_mailbox),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 3,
            "maxLength": LONGEST_MAILBOX,
            "description": '`address`, `Name <address>` or `"Name" <address>`.',
            "examples": ["Ann Example <ann@example.com>"],
        }
    ),
]
Subject = Annotated[str, Field(max_length=LONGEST_SUBJECT), AfterValidator(_one_line)]
MessageText = Annotated[str, Field(min_length=1), AfterValidator(require_storable)]
TemplateName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$", examples=["order-confirmed"])]
Priority = Annotated[int, Field(ge=-100, le=100, strict=True, description="Higher goes first.")]
Tags = Annotated[list[Tag], Field(max_length=20)]
_Mailboxes = Annotated[list[MailboxText], Field(max_length=MOST_RECIPIENTS)]

_DELIVERY = """
What is done after a crash in the instant in which the mail server took a message. `at_least_once`: it is sent again,
under the same Message-ID. `at_most_once`: it is not, and its recipients are `uncertain`.
"""


class EmailBody(BaseModel):
    """Asks for an e-mail."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "to": ["Ann Example <ann@example.com>", "ben@example.com"],
                "subject": "Your pictures are ready",
                "text": "They are attached.",
            }
        },
    )

    sender: MailboxText | None = Field(
        None,
        alias="from",
        description="An address that the service may send from (`JOBYARD_MAIL_FROM`, the default, and "
        "`JOBYARD_MAIL_SENDERS`).",
    )
    reply_to: MailboxText | None = None
    to: Annotated[_Mailboxes, Field(min_length=1)]
    cc: _Mailboxes = Field(default_factory=list[Mailbox])
    bcc: _Mailboxes = Field(
        default_factory=list[Mailbox], description="These get the e-mail, and no other recipient learns of them."
    )
    subject: Subject | None = Field(None, description="Must be given, unless `template` is.")
    text: MessageText | None = Field(None, description="`text`, `html` or both must be given, unless `template` is.")
    html: MessageText | None = None
    template: TemplateName | None = Field(
        None, description="A template of yours, in place of `subject`, `text` and `html`; it is rendered at once."
    )
    variables: Variables | None = Field(None, description="What the template shows.")
    attachment_ids: list[UUID] = Field(
        default_factory=list[UUID], max_length=MOST_ATTACHMENTS, description="Ids of your files."
    )
    inline_images: list[InlineImageBody] = Field(
        default_factory=list[InlineImageBody],
        max_length=MOST_INLINE_IMAGES,
        description="Pictures that the HTML page shows.",
    )
    headers: Headers = Field(default_factory=dict[str, str])
    unsubscribe: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Offers the recipient, who must be the only one, to unsubscribe with one click (RFC 8058): whoever "
        "does gets no more of your e-mails.",
    )
    delivery: Delivery = Field("at_least_once", description=_DELIVERY)
    tags: Tags = Field(default_factory=list[str])
    priority: Priority = 0
    send_at: DueTime | None = Field(None, description="Not before this time; a time that has passed means at once.")

    @model_validator(mode="after")
    def _require_agreement(self) -> Self:
        wrong = [*self._wrong_content(), *self._wrong_recipients()]
        if len({image.content_id.lower() for image in self.inline_images}) < len(self.inline_images):
            wrong.append(_wrong("content_id_taken", "Two images have one content id", "inline_images"))
        if wrong:
            raise ValidationError.from_exception_data("EmailBody", wrong)
        return self

    def _wrong_content(self) -> list[InitErrorDetails]:
        given = [name for name in ("subject", "text", "html") if getattr(self, name) is not None]
        if self.template is not None:
            return [_wrong("template_given", "The template says this", name) for name in given]
        wrong = [] if self.subject is not None else [InitErrorDetails(type="missing", loc=("subject",), input=None)]
        if not {"text", "html"} & set(given):
            wrong.append(_wrong("content_missing", "text, html or both must be given"))
        if self.variables is not None:
            wrong.append(_wrong("template_missing", "Variables are for a template", "variables"))
        return wrong

    def _wrong_recipients(self) -> list[InitErrorDetails]:
        count = len(self.recipients())
        if count > MOST_RECIPIENTS:
            return [
                _wrong("too_many_recipients", f"to, cc and bcc have more than {MOST_RECIPIENTS} recipients together")
            ]
        if not self.unsubscribe:
            return []
        if count > 1:
            return [_wrong("too_many_recipients", "Who unsubscribes must be the only recipient", "unsubscribe")]
        ours = [name for name in self.headers if name.lower().startswith("list-unsubscribe")]
        return [_wrong("header_given_twice", "unsubscribe adds this header", "headers", name) for name in ours]

    def recipients(self) -> list[tuple[str, Mailbox]]:
        """List each recipient once, with the first of the roles `to`, `cc` and `bcc` that it is given."""
        found: dict[str, tuple[str, Mailbox]] = {}
        for role, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                found.setdefault(mailbox.key, (role, mailbox))
        return list(found.values())

    def file_ids(self) -> list[UUID]:
        """List each file once that the e-mail needs."""
        return list(dict.fromkeys([*self.attachment_ids, *(image.file_id for image in self.inline_images)]))


def _wrong(code: str, detail: str, *place: str) -> InitErrorDetails:
    # The types ask for literals, which all callers give.
    made: Any = PydanticCustomError
    return InitErrorDetails(type=made(code, detail), loc=place, input=None)


class EmailChange(BaseModel):
    """Says when an e-mail is to go instead."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"send_at": "2026-11-25T08:00:00Z"}})

    send_at: DueTime | None = Field(
        description="Not before this time. Null, and a time that has passed, mean at once: `send_at` is then the time "
        "of the change."
    )
