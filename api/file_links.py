"""Signed links: a URL that lets whoever has it read one file's content for a while, and nothing else.

A link is judged by its own parts before anything is looked up, so that it tells nobody whether a file exists. It ends
with its time (the server's clock), with its key, and with its file.
"""

import re
import time
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.file_access import Access, Disposition
from api.link_keys import PurposeKeys
from shared.errors import JobyardError
from shared.settings import Settings

LONGEST_SECONDS = 7 * 24 * 3600
_PURPOSE = b"jobyard signed link, version 1"
_SECONDS = re.compile(r"[0-9]{1,12}")


class LinkNotValid(JobyardError):
    """Is raised for a link that was not signed by a key of ours, or was changed."""

    status = 403
    code = "link_not_valid"
    title = "Link not valid"


class LinkExpired(JobyardError):
    """Is raised for a link of ours whose time is over."""

    status = 403
    code = "link_expired"
    title = "Link expired"


class LinkOrder(BaseModel):
    """Says what a link shall be."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"expires_in": 86400, "disposition": "inline"}}
    )

    expires_in: Annotated[int, Field(strict=True, ge=1, le=LONGEST_SECONDS)] = Field(
        3600, description="Seconds from now."
    )
    disposition: Disposition = Field(
        "attachment", description="`inline` shows pictures, sound, films and plain text; all else is downloaded."
    )


_EXAMPLE: JsonDict = {
    "url": "https://jobs.example.org/v1/files/0198f2a5-1c2d-7b31-8a77-0f6e5d4c3b2a/content"
    "?expires=1795526400&key_id=0&signature=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    "expires_at": "2026-11-24T13:20:00Z",
}


class Link(BaseModel):
    """Is a signed link."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    url: str = Field(
        description="Reads the content without a token, with GET and HEAD. Whoever has it can: treat it as a secret."
    )
    expires_at: datetime = Field(description="When it ends, unless the file or the key goes first.")


class LinkKeys:
    """Signs links with the first of the keys that the settings name, and verifies those of all."""

    def __init__(self, settings: Settings) -> None:
        self._keys = PurposeKeys(settings, _PURPOSE)

    def sign(self, file_id: UUID, expires: int, disposition: Disposition) -> str:
        """Make the query string of a link."""
        key_id = self._keys.first
        query = {"expires": str(expires), "key_id": key_id}
        if disposition != "attachment":
            query["disposition"] = disposition
        signature = self._keys.sign(key_id, _signed_text(file_id, query["expires"], disposition, key_id))
        return urlencode(query | {"signature": signature})

    def verify(self, file_id: UUID, expires: str, key_id: str, signature: str, disposition: Disposition) -> Access:
        """Give what a link allows; raises `LinkNotValid`, `LinkExpired`.

        The work is the same whatever is wrong, an unknown key included.
        """
        if not self._keys.verify(key_id, _signed_text(file_id, expires, disposition, key_id), signature):
            raise LinkNotValid("The link is not valid.")
        if not _SECONDS.fullmatch(expires) or int(expires) <= time.time():
            raise LinkExpired("The link has expired.")
        return Access(file_id, disposition, expires=int(expires))


def _signed_text(file_id: UUID, expires: str, disposition: Disposition, key_id: str) -> str:
    return "\n".join((str(file_id), disposition, key_id, expires))


def make_link(keys: LinkKeys, request: Request, public_url: str, file_id: UUID, order: LinkOrder) -> Link:
    """Make a link to a file; it begins with the public URL, or without one with the address of this request."""
    expires = int(time.time()) + order.expires_in
    base = public_url or str(request.base_url).rstrip("/")
    url = f"{base}/v1/files/{file_id}/content?{keys.sign(file_id, expires, order.disposition)}"
    return Link(url=url, expires_at=datetime.fromtimestamp(expires, UTC))
