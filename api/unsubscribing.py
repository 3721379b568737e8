"""Unsubscribing with one click (RFC 8058): a GET shows a button, a POST does it.

A GET changes nothing, since programs that look for bad links follow them.
"""

from collections.abc import Awaitable

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.content_types import ContentTypeNotSupported, content_type
from api.request_body import Body
from api.resources import Resources
from api.suppressions import suppress
from api.unsubscribe_links import Subscription, UnsubscribeLinkNotValid
from api.unsubscribe_pages import asking_page, broken_page, done_page
from shared.errors import JobyardError
from shared.models import User

LARGEST_BODY_BYTES = 1024
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class UnsubscribeBodyTooLarge(JobyardError):
    """Is raised for a body that is larger than what a mail program sends."""

    status = 413
    code = "body_too_large"
    title = "Body too large"


async def ask(resources: Resources, request: Request, token: str) -> Response:
    """Show the page with the button; raises `UnsubscribeLinkNotValid`, which a browser gets as a page."""
    return await _or_page(request, _ask(resources, token))


async def unsubscribe(resources: Resources, request: Request, token: str) -> Response:
    """Put the address on its sender's suppression list; the answer is the same when it is there already.

    Raises `UnsubscribeLinkNotValid`, which a browser gets as a page, `UnsubscribeBodyTooLarge`,
    `ContentTypeNotSupported`, `UploadAborted`.
    """
    await _check_body(request)
    return await _or_page(request, _unsubscribe(resources, token))


async def _ask(resources: Resources, token: str) -> Response:
    subscription = resources.unsubscribe_links.read(token)
    async with resources.sessions() as session:
        await _require_owner(session, subscription)
    return asking_page(subscription.address)


async def _unsubscribe(resources: Resources, token: str) -> Response:
    subscription = resources.unsubscribe_links.read(token)
    async with resources.sessions.begin() as session:
        await _require_owner(session, subscription, lock=True)
        await suppress(session, subscription.owner_id, subscription.address, "unsubscribed")
    return done_page(subscription.address)


async def _require_owner(session: AsyncSession, subscription: Subscription, *, lock: bool = False) -> None:
    statement = select(User.id).where(User.id == subscription.owner_id)
    if lock:
        statement = statement.with_for_update(read=True, key_share=True)
    if await session.scalar(statement) is None:
        raise UnsubscribeLinkNotValid


async def _or_page(request: Request, answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except UnsubscribeLinkNotValid:
        if "text/html" in request.headers.get("accept", "").lower():
            return broken_page()
        raise


async def _check_body(request: Request) -> None:
    # What the form says is not asked: nobody but who has the link can send it, and only a POST means it.
    body = Body(request, LARGEST_BODY_BYTES, UnsubscribeBodyTooLarge)
    with body.guarded():
        received = [chunk async for chunk in body.chunks() if chunk]
        if received and content_type(request) not in FORMS:
            raise ContentTypeNotSupported(f"The body must be {' or '.join(FORMS)}, or empty.")
