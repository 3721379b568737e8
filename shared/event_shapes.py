"""What events carry where GET has no such shape of its own."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.email_shapes import EMAIL_EXAMPLE, RECIPIENT_EXAMPLE, EmailRecipient


class RecipientOfEmail(BaseModel):
    """Is a recipient, and the e-mail that it belongs to."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "email_id": EMAIL_EXAMPLE["id"],
                "mailing_id": None,
                "tags": ["order-4711"],
                "recipient": RECIPIENT_EXAMPLE,
            }
        }
    )

    email_id: UUID
    mailing_id: UUID | None = Field(description="The mailing that the e-mail is a part of.")
    tags: list[str] = Field(description="The e-mail's.")
    recipient: EmailRecipient
