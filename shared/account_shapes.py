"""An account as its user sees it: the same shape for GET and events."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.models import User


class Account(BaseModel):
    """Is a user as the user sees it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "0198f2a5-7e3b-7c52-9d0e-5d2f9a3c1b44",
                "email": "ada@example.com",
                "name": "Ada Lovelace",
                "role": "user",
                "created_at": "2026-11-24T12:00:00Z",
            }
        }
    )

    id: UUID
    email: str
    name: str | None
    role: Literal["user", "operator", "admin"]
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> Self:
        """Show a user."""
        return cls.model_validate(user, from_attributes=True)
