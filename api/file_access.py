"""What allows somebody to read a file's content, and how it is shown then."""

from dataclasses import dataclass
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
