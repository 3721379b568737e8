"""`client.mailings`, `client.templates` and `client.suppressions`: mail to many, what it says, and who gets none."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobyard.calls import R, Resource, call, stream
from jobyard.email_models import Mailing, Preview, Suppression, Template
from jobyard.emails import sending
from jobyard.exchange import Id, delete, get, given, pages, post, put, query_of, read_as, segment
from jobyard.flows import Flow, Stream

AnyMailing = Mailing | Id
"""A mailing, or its id."""


class Mailings(Resource[R]):
    """Is the mailings of the account: one template for up to 10,000 recipients each."""

    @call
    def create(
        self,
        template: str,
        recipients: Mapping[str, Mapping[str, Any]] | Sequence[str],
        *,
        variables: Mapping[str, Any] | None = None,
        sender: str | None = None,
        reply_to: str | None = None,
        headers: Mapping[str, str] | None = None,
        unsubscribe: bool | None = None,
        delivery: str | None = None,
        tags: Sequence[str] = (),
        priority: int | None = None,
        send_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Mailing]:
        """Send a template to many: addresses, or a mapping of each address to variables of its own. All go, or none."""
        pairs = recipients.items() if isinstance(recipients, Mapping) else [(to, {}) for to in recipients]
        body = given(
            template=template,
            recipients=[{"to": to, "variables": values} for to, values in pairs],
            variables=variables,
        )
        body |= sending(sender, reply_to, headers, unsubscribe, delivery, tags, priority, send_at)
        return read_as(Mailing, (yield from post(self.session, "/v1/mailings", body, key=idempotency_key)))

    @call
    def get(self, mailing: AnyMailing) -> Flow[Mailing]:
        """Read a mailing and how many of its recipients are in each state; raises `NotFound`."""
        return read_as(Mailing, (yield from get(self.session, _mailing_path(mailing))))

    @stream
    def list(self, *, limit: int | None = None) -> Stream[Mailing]:
        """List mailings, newest first, page after page; the e-mails of one: `emails.list(mailing_id=…)`."""
        yield from pages(self.session, "/v1/mailings", Mailing, limit=limit)

    @call
    def cancel(self, mailing: AnyMailing) -> Flow[Mailing]:
        """Cancel what has not gone to the mail server yet; repeating it is fine. Raises `Conflict`."""
        return read_as(Mailing, (yield from post(self.session, f"{_mailing_path(mailing)}/cancel")))


class Templates(Resource[R]):
    """Is the templates of the account, in the language of Jinja."""

    @call
    def put(self, name: str, *, subject: str, text: str | None = None, html: str | None = None) -> Flow[Template]:
        """Make a template, or replace what it says; mail that was accepted before keeps what it said."""
        body = given(subject=subject, text=text, html=html)
        return read_as(Template, (yield from put(self.session, _template_path(name), body)))

    @call
    def get(self, name: str) -> Flow[Template]:
        """Read a template; raises `NotFound`."""
        return read_as(Template, (yield from get(self.session, _template_path(name))))

    @stream
    def list(self, *, limit: int | None = None) -> Stream[Template]:
        """List templates by name, page after page, without their texts."""
        yield from pages(self.session, "/v1/email-templates", Template, limit=limit)

    @call
    def delete(self, name: str) -> Flow[None]:
        """Delete a template; raises `NotFound`."""
        yield from delete(self.session, _template_path(name))

    @call
    def preview(self, name: str, variables: Mapping[str, Any] | None = None) -> Flow[Preview]:
        """Show what a recipient would get; raises `InvalidInput`, which names the variables that are missing."""
        body = {"variables": variables or {}}
        return read_as(Preview, (yield from post(self.session, f"{_template_path(name)}/preview", body)))


class Suppressions(Resource[R]):
    """Is the addresses that no e-mail of the account goes to."""

    @call
    def add(self, address: str, *, reason: str | None = None, detail: str | None = None) -> Flow[Suppression]:
        """Put an address on the list, as `manual` or `complaint`; one that is there already stays as it is."""
        body = given(address=address, reason=reason, detail=detail)
        return read_as(Suppression, (yield from post(self.session, "/v1/suppressions", body)))

    @call
    def get(self, address: str) -> Flow[Suppression]:
        """Read why an address is on the list; raises `NotFound` when it is not."""
        return read_as(Suppression, (yield from get(self.session, f"/v1/suppressions/{segment(address)}")))

    @stream
    def list(
        self, *, reason: str | Sequence[str] | None = None, address: str | None = None, limit: int | None = None
    ) -> Stream[Suppression]:
        """List the addresses, newest first, page after page; for any of the reasons."""
        query = query_of(reason=reason, address=address)
        yield from pages(self.session, "/v1/suppressions", Suppression, query, limit)

    @call
    def remove(self, address: str) -> Flow[None]:
        """Take an address off the list; raises `NotFound`."""
        yield from delete(self.session, f"/v1/suppressions/{segment(address)}")


def _mailing_path(mailing: AnyMailing) -> str:
    return f"/v1/mailings/{segment(mailing.id if isinstance(mailing, Mailing) else mailing)}"


def _template_path(name: str) -> str:
    return f"/v1/email-templates/{segment(name)}"
