"""What clients send and get about suppressed addresses."""

from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import quote
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from api.email_variables import require_storable
from shared.mail_address import LONGEST_MAILBOX, make_mailbox
from shared.mail_models import Suppression as SuppressionRow

LONGEST_DETAIL = 500

SuppressionReason = Literal["hard_bounce", "complaint", "unsubscribed", "manual"]


def _bare_address(text: str) -> str:
    try:
        return make_mailbox(None, text).address
    except ValueError as error:
        raise PydanticCustomError("invalid_email", "{reason}", {"reason": str(error)}) from None


Address = Annotated[
    str,
    Field(
        min_length=3,
        max_length=LONGEST_MAILBOX,
        description="An address without a name; the case of letters does not matter, nor how its domain is written.",
        examples=["ann@example.com"],
    ),
    AfterValidator(_bare_address),
]

_EXAMPLE: JsonDict = {
    "address": "ann@example.com",
    "reason": "complaint",
    "detail": "Feedback loop, report 4711.",
    "email_id": None,
    "created_at": "2026-11-24T12:00:00Z",
    "links": {"self": "/v1/suppressions/ann@example.com"},
}

_REASON = """
`hard_bounce`: a mail server said that the address is bad. `complaint`: its owner reported a message as spam.
`unsubscribed`: its owner did, by the link in a message. `manual`: any other that you have.
"""


class SuppressionBody(BaseModel):
    """Asks that mail no longer goes to an address."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"address": "ann@example.com", "reason": "complaint", "detail": "Feedback loop, report 4711."}
        },
    )

    address: Address
    reason: Literal["complaint", "manual"] = Field(
        "manual", description="The others of the list's reasons are not yours to give."
    )
    detail: Annotated[str, Field(min_length=1, max_length=LONGEST_DETAIL), AfterValidator(require_storable)] | None = (
        Field(None, description="What you want to remember of it.")
    )


class SuppressionLinks(BaseModel):
    """Holds the path of a suppressed address."""

    self_: str = Field(alias="self")


class Suppression(BaseModel):
    """Is an address that your mail no longer goes to."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    address: str
    reason: SuppressionReason = Field(description=_REASON)
    detail: str | None = Field(description="Yours, or what the mail server said.")
    email_id: UUID | None = Field(
        description="The e-mail that it bounced; null for other reasons. It may have been purged."
    )
    created_at: datetime
    links: SuppressionLinks

    @classmethod
    def of(cls, row: SuppressionRow) -> Self:
        """Shape a row for its owner."""
        return cls.model_validate(
            {
                "address": row.address,
                "reason": row.reason,
                "detail": row.detail,
                "email_id": row.email_id,
                "created_at": row.created_at,
                "links": {"self": f"/v1/suppressions/{quote(row.address, safe='@')}"},
            }
        )
