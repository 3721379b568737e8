"""A file's content as it is answered: conditional, whole or in part, and never as something that runs in a browser.

Content never changes under its id: it is there or it is gone. So its SHA-256 is a strong entity tag.
"""

import time

from fastapi import Request, Response
from psycopg.rows import args_row

from api.byte_ranges import ByteRange, parse_range
from api.content_response import FIRST_BLOCK_BYTES, ContentResponse
from api.file_access import Access, StoredContent
from api.file_names import attachment
from api.preconditions import Validators
from api.resources import Resources
from shared.errors import FileNotFound

INLINE_TYPES = frozenset(
    {
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/bmp", "image/tiff", "image/heic",
        "audio/mpeg", "audio/flac", "audio/wav", "video/mp4", "video/webm", "video/avi", "application/ogg",
        "text/plain",
    }
)  # fmt: skip
"""What a browser may show. Nothing that can hold a script is here, whatever may be uploaded: no HTML, SVG, XML, PDF."""

# Not by SQLAlchemy: a client that reads in ranges asks for this again and again, and it would be half of the work.
_FIND = """
SELECT storage_key, name, media_type, size, sha256, created_at FROM files
WHERE id = %s AND (%s::uuid IS NULL OR owner_id = %s)
"""

_ATTACHED_POLICY = "sandbox; default-src 'none'"
_INLINE_POLICY = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"


async def answer_content(resources: Resources, access: Access, request: Request) -> Response:
    """Answer a GET or HEAD of a content; no database connection is held from here on.

    A range is for GET alone, as RFC 9110 says. Raises `FileNotFound`, `PreconditionFailed`, `RangeNotSatisfiable`,
    `ContentGone` and `StorageUnavailable`.
    """
    file = await _find(resources, access)
    validators = Validators(file.sha256, file.created_at)
    known = {"ETag": validators.etag, "Last-Modified": validators.last_modified, **_caching(access)}
    if validators.client_has_it(request.headers):
        return Response(status_code=304, headers=known)
    headers = known | _description(file, access)
    if request.method == "HEAD":
        await resources.downloads.require(file)
        return Response(headers=headers | {"Content-Length": str(file.size)})
    part = parse_range(_range_header(request), file.size) if validators.allow_range(request.headers) else None
    return await _send(resources, file, part, headers)


async def _find(resources: Resources, access: Access) -> StoredContent:
    async with (
        resources.ledger.connection() as connection,
        connection.cursor(row_factory=args_row(StoredContent)) as cursor,
    ):
        await cursor.execute(_FIND, (access.file_id, access.owner_id, access.owner_id), prepare=True)
        file = await cursor.fetchone()
    if file is None:
        raise FileNotFound("No such file.")
    return file


async def _send(resources: Resources, file: StoredContent, part: ByteRange | None, headers: dict[str, str]) -> Response:
    start, end = (part.start, part.end) if part else (0, file.size)
    content = resources.downloads.open(file, start, end)
    try:
        # Before any header is sent: from then on there is no way to say what went wrong.
        first = await content.read(FIRST_BLOCK_BYTES)
    except BaseException:
        content.close()
        raise
    headers = headers | {"Content-Length": str(end - start)}
    if part is None:
        return ContentResponse(content, first, 200, headers)
    return ContentResponse(content, first, 206, headers | {"Content-Range": part.header})


def _range_header(request: Request) -> str | None:
    lines = request.headers.getlist("range")
    return ",".join(lines) if lines else None


def _caching(access: Access) -> dict[str, str]:
    if access.expires is None:
        # Asked again each time, which costs a 304: the next one at this browser may be somebody else.
        return {"Cache-Control": "private, no-cache", "Vary": "Authorization"}
    left = max(0, access.expires - int(time.time()))
    return {"Cache-Control": f"private, max-age={left}, immutable"}


def _description(file: StoredContent, access: Access) -> dict[str, str]:
    inline = access.disposition == "inline" and file.media_type in INLINE_TYPES
    return {
        # Text was found to be UTF-8 when it was stored; a browser would guess.
        "Content-Type": "text/plain; charset=utf-8" if inline and file.media_type == "text/plain" else file.media_type,
        "Content-Disposition": _inline(file.name) if inline else attachment(file.name),
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _INLINE_POLICY if inline else _ATTACHED_POLICY,
        # A link may stand in any page; what needs a token is fetched, and never embedded.
        "Cross-Origin-Resource-Policy": "same-origin" if access.expires is None else "cross-origin",
    }


def _inline(name: str) -> str:
    return f"inline{attachment(name).removeprefix('attachment')}"
