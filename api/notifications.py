"""Notifications: one plain text for many people, each of whom gets an e-mail of their own."""

from typing import Annotated
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from api.email_batches import EmailNotValid, Order, accept_orders
from api.email_bodies import EmailBody, MessageText, Subject
from api.idempotency_key import RequestKey
from api.problems import InputError
from api.resources import Resources
from shared.mail_address import LONGEST_MAILBOX, Mailbox, parse_mailbox

MOST_NOTIFIED = 1000


class NotificationBody(BaseModel):
    """Says whom to tell what."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "to_emails": ["ann@example.com", "Ben Example <ben@example.com>"],
                "subject": "The yard is closed tomorrow",
                "message": "We are back on Monday.",
            }
        },
    )

    to_emails: list[Annotated[str, Field(max_length=LONGEST_MAILBOX)]] = Field(
        min_length=1,
        max_length=MOST_NOTIFIED,
        description="Addresses, with names or without. Nobody sees the others; who is named twice is told once.",
    )
    subject: Subject
    message: MessageText = Field(description="Plain text.")


async def notify(
    resources: Resources, owner_id: UUID, body: NotificationBody, key: RequestKey | None, base_url: str
) -> Response:
    """Write down an e-mail for each address; an address that is none is refused alone. Raises the errors of `once`."""
    return await accept_orders(resources, owner_id, _orders(body), key, base_url)


def _orders(body: NotificationBody) -> list[Order]:
    orders: list[Order] = []
    seen: set[str] = set()
    for index, text in enumerate(body.to_emails):
        place = f"/to_emails/{index}"
        try:
            mailbox = parse_mailbox(text)
        except ValueError as error:
            wrong = InputError(pointer=place, code="value_error", detail=str(error))
            orders.append(Order(index, place, EmailNotValid([wrong])))
        else:
            if mailbox.key not in seen:
                orders.append(Order(index, place, _email(mailbox, body)))
            seen.add(mailbox.key)
    return orders


def _email(to: Mailbox, body: NotificationBody) -> EmailBody:
    # All of it has been checked.
    return EmailBody.model_construct(to=[to], subject=body.subject, text=body.message)
