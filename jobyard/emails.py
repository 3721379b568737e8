"""`client.emails`: send one or many, read, list, reschedule, cancel."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobyard.calls import R, Resource, call, stream
from jobyard.email_models import Email, EmailBatch
from jobyard.exchange import Id, get, given, pages, patch, post, query_of, read_as, segment
from jobyard.files import AnyFile, id_of
from jobyard.flows import Flow, Stream

AnyEmail = Email | Id
"""An e-mail, or its id."""


class Emails(Resource[R]):
    """Is the e-mails of the account."""

    @call
    def send(
        self,
        to: str | Sequence[str],
        subject: str | None = None,
        text: str | None = None,
        *,
        html: str | None = None,
        template: str | None = None,
        variables: Mapping[str, Any] | None = None,
        sender: str | None = None,
        reply_to: str | None = None,
        cc: Sequence[str] = (),
        bcc: Sequence[str] = (),
        attachments: Sequence[AnyFile] = (),
        inline_images: Mapping[str, AnyFile] | None = None,
        headers: Mapping[str, str] | None = None,
        unsubscribe: bool | None = None,
        delivery: str | None = None,
        tags: Sequence[str] = (),
        priority: int | None = None,
        send_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Email]:
        """Send an e-mail: what it says itself, or what a template of yours says.

        `inline_images` maps content ids to stored pictures. Once the job `job_id` is done, `get` tells how it went.
        """
        body = _recipients(to, cc, bcc) | given(
            subject=subject,
            text=text,
            html=html,
            template=template,
            variables=variables,
            attachment_ids=[id_of(file) for file in attachments] or None,
            inline_images=_images(inline_images or {}) or None,
        )
        body |= sending(sender, reply_to, headers, unsubscribe, delivery, tags, priority, send_at)
        return read_as(Email, (yield from post(self.session, "/v1/emails", body, key=idempotency_key)))

    @call
    def send_many(self, emails: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None) -> Flow[EmailBatch]:
        """Send up to 1,000 e-mails, each as the API words it: `{"to": ["ann@example.com"], "subject": …, "text": …}`.

        What is wrong with one is said in its place, and the others go; raises `InvalidInput` when none could.
        """
        answer = yield from post(self.session, "/v1/emails/batch", list(emails), key=idempotency_key)
        return read_as(EmailBatch, answer)

    @call
    def notify(
        self, to: Sequence[str], subject: str, message: str, *, idempotency_key: str | None = None
    ) -> Flow[EmailBatch]:
        """Tell up to 1,000 people the same in plain text, each in an e-mail of their own from the service's address.

        What is wrong with an address is said in its place, and the others go; raises `InvalidInput` when none could.
        """
        body = {"to_emails": list(to), "subject": subject, "message": message}
        return read_as(EmailBatch, (yield from post(self.session, "/v1/notifications", body, key=idempotency_key)))

    @call
    def get(self, email: AnyEmail) -> Flow[Email]:
        """Read an e-mail and how its recipients stand; raises `NotFound`."""
        return read_as(Email, (yield from get(self.session, _path(email))))

    @stream
    def list(
        self,
        *,
        recipient: str | None = None,
        state: str | Sequence[str] | None = None,
        tag: str | Sequence[str] | None = None,
        mailing_id: Id | None = None,
        limit: int | None = None,
    ) -> Stream[Email]:
        """List e-mails, newest first, page after page: to a recipient, in any of the states, with all of the tags."""
        query = query_of(recipient=recipient, state=state, tag=tag, mailing_id=mailing_id)
        yield from pages(self.session, "/v1/emails", Email, query, limit)

    @call
    def reschedule(self, email: AnyEmail, send_at: datetime | None) -> Flow[Email]:
        """Let an e-mail that was not tried yet go at another time, or at once; raises `Conflict`."""
        return read_as(Email, (yield from patch(self.session, _path(email), {"send_at": send_at})))

    @call
    def cancel(self, email: AnyEmail) -> Flow[Email]:
        """Cancel what has not gone to the mail server yet; repeating it is fine. Raises `Conflict`."""
        return read_as(Email, (yield from post(self.session, f"{_path(email)}/cancel")))


def sending(
    sender: str | None,
    reply_to: str | None,
    headers: Mapping[str, str] | None,
    unsubscribe: bool | None,  # noqa: FBT001 - both callers give all of these in order
    delivery: str | None,
    tags: Sequence[str],
    priority: int | None,
    send_at: datetime | None,
) -> dict[str, Any]:
    """Give what can be said of how an e-mail or a mailing goes, in the API's words, without what is not."""
    said = given(
        reply_to=reply_to,
        headers=headers,
        unsubscribe=unsubscribe,
        delivery=delivery,
        tags=list(tags) or None,
        priority=priority,
        send_at=send_at,
    )
    return said | given(**{"from": sender})


def _recipients(to: str | Sequence[str], cc: Sequence[str], bcc: Sequence[str]) -> dict[str, Any]:
    return given(to=[to] if isinstance(to, str) else list(to), cc=list(cc) or None, bcc=list(bcc) or None)


def _images(images: Mapping[str, AnyFile]) -> list[dict[str, str]]:
    return [{"content_id": content_id, "file_id": id_of(file)} for content_id, file in images.items()]


def _path(email: AnyEmail) -> str:
    return f"/v1/emails/{segment(email.id if isinstance(email, Email) else email)}"
