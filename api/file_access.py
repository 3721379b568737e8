"""What allows somebody to read a file's content, how it is shown then, and what is known of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Disposition = Literal["attachment", "inline"]


@dataclass(frozen=True, slots=True)
class Access:
    """Is a permission to read one file's content: its owner's, or that of a signed link, which ends at `expires`."""

    file_id: UUID
    disposition: Disposition
    owner_id: UUID | None = None
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class StoredContent:
    """Is what it takes to send a file's content."""

    storage_key: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime
