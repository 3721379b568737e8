"""Sending a file's content: read in a thread, block by block, with no database connection held."""

import asyncio
import logging
from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.file_names import attachment
from api.resources import Resources
from shared import models
from shared.errors import JobyardError
from shared.storage import BlobReader

logger = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024


class ContentGone(JobyardError):
    """Is raised when a file's row is there, but its blob is not."""

    status = 410
    code = "content_gone"
    title = "Content gone"


class ContentResponse(StreamingResponse):
    """Sends an open blob and closes it, however the sending ends."""

    def __init__(self, file: models.File, blob: BlobReader) -> None:
        headers = {
            "Content-Type": file.media_type,
            "Content-Length": str(file.size),
            "Content-Disposition": attachment(file.name),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private",
        }
        super().__init__(_blocks(blob), headers=headers)
        self._blob = blob

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._blob.close()


async def content_response(resources: Resources, file: models.File) -> ContentResponse:
    """Open a file's content for sending; raises `ContentGone`, `StorageUnavailable`."""
    return ContentResponse(file, await asyncio.to_thread(_open, resources, file))


def _open(resources: Resources, file: models.File) -> BlobReader:
    try:
        blob = resources.storage.open(file.storage_key)
    except FileNotFoundError as error:
        logger.exception("the blob %s is gone", file.storage_key)
        raise ContentGone("The file's content is gone.") from error
    if blob.total != file.size:
        blob.close()
        logger.error("the blob %s has not the size of its row", file.storage_key)
        raise ContentGone("The file's content is damaged.")
    return blob


async def _blocks(blob: BlobReader) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(blob.read, BLOCK_BYTES):
        yield block
