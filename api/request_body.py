"""Request bodies that are read as they arrive, within a limit."""

import contextlib
from collections.abc import AsyncGenerator, Generator

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.content_types import ContentTypeNotSupported
from api.upload_errors import UploadAborted
from shared.errors import FileTooLarge, JobyardError

LARGEST_DRAINED_BYTES = 32 * 1024 * 1024
"""A refused body with more than this still to come costs the client its connection, and mostly the answer too.

Most clients send all before they read, and find the connection reset; ours sends 16 MiB at once at most.
"""


class Body:
    """Is a request's body, read once and within a limit.

    `length` is what the client said it will be. As a context manager it closes the connection of a client whose refused
    body has much still to come.
    """

    def __init__(self, request: Request, limit: int, too_large: type[JobyardError] = FileTooLarge) -> None:
        self._request = request
        self._limit = limit
        self._too_large = too_large
        self._received = 0
        self._ended = False
        length = request.headers.get("content-length", "")
        self.length = int(length) if length.isdecimal() else None

    def narrow(self, limit: int) -> None:
        """Lower the limit before the body is read; raises `FileTooLarge` when the headers already exceed it."""
        self._limit = min(self._limit, limit)
        if self.length is not None and self.length > self._limit:
            raise self._limit_error()

    @contextlib.contextmanager
    def guarded(self) -> Generator[None, None, None]:
        """Refuse at once what the headers already tell; raises `FileTooLarge`, `ContentTypeNotSupported`."""
        try:
            if self._request.headers.get("content-encoding", "identity").lower() != "identity":
                raise ContentTypeNotSupported("Compressed bodies (Content-Encoding) are not supported.")
            if self.length is not None and self.length > self._limit:
                raise self._limit_error()
            yield
        except JobyardError as error:
            if not self._ended and (self.length is None or self.length - self._received > LARGEST_DRAINED_BYTES):
                error.headers["Connection"] = "close"
            raise

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Give the body as it arrives; raises `FileTooLarge`, `UploadAborted`."""
        try:
            async with contextlib.aclosing(self._request.stream()) as stream:
                async for chunk in stream:
                    self._received += len(chunk)
                    if self._received > self._limit:
                        raise self._limit_error()
                    yield chunk
        except ClientDisconnect as error:
            raise UploadAborted("The client went away.") from error
        self._ended = True

    def _limit_error(self) -> JobyardError:
        return self._too_large(f"The body is larger than {self._limit} bytes.")
