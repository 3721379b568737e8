"""The body of `POST /v1/emails`."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from api.due_times import DueTime
from api.job_bodies import Tag
from shared.mail_address import LONGEST_MAILBOX, Mailbox, is_one_line, parse_mailbox

MOST_RECIPIENTS = 50
MOST_ATTACHMENTS = 10
_LONGEST_SUBJECT = 998


def _mailbox(value: object) -> Mailbox:
    if not isinstance(value, str) or len(value) > LONGEST_MAILBOX:
        raise ValueError(f"must be a text of at most {LONGEST_MAILBOX} characters")
    return parse_mailbox(value)


def _one_line(text: str) -> str:
    if not is_one_line(text):
        raise ValueError("must be one line, without control characters")
    return text


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
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
_Mailboxes = Annotated[list[MailboxText], Field(max_length=MOST_RECIPIENTS)]
_Content = Annotated[str, Field(min_length=1), AfterValidator(_storable)]


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
        None, alias="from", description="The address must be the service's own (`JOBYARD_MAIL_FROM`), the default."
    )
    reply_to: MailboxText | None = None
    to: Annotated[_Mailboxes, Field(min_length=1)]
    cc: _Mailboxes = Field(default_factory=list[Mailbox])
    bcc: _Mailboxes = Field(
        default_factory=list[Mailbox], description="These get the e-mail, and no other recipient learns of them."
    )
    subject: Annotated[str, Field(max_length=_LONGEST_SUBJECT), AfterValidator(_one_line)]
    text: _Content | None = Field(None, description="`text`, `html` or both must be given.")
    html: _Content | None = None
    attachment_ids: list[UUID] = Field(
        default_factory=list[UUID], max_length=MOST_ATTACHMENTS, description="Ids of your files."
    )
    tags: list[Tag] = Field(default_factory=list[str], max_length=20)
    priority: int = Field(0, ge=-100, le=100, strict=True, description="Higher goes first.")
    send_at: DueTime | None = Field(None, description="Not before this time; a time that has passed means at once.")

    @model_validator(mode="after")
    def _require_content_and_few_recipients(self) -> Self:
        if self.text is None and self.html is None:
            raise ValueError("text, html or both must be given")
        if len(self.recipients()) > MOST_RECIPIENTS:
            raise ValueError(f"to, cc and bcc must have at most {MOST_RECIPIENTS} recipients together")
        return self

    def recipients(self) -> list[tuple[str, Mailbox]]:
        """List each recipient once, with the first of the roles `to`, `cc` and `bcc` that it is given."""
        found: dict[str, tuple[str, Mailbox]] = {}
        for role, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            for mailbox in mailboxes:
                found.setdefault(mailbox.key, (role, mailbox))
        return list(found.values())
