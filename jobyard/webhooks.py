"""`client.webhooks`: where events are sent, their secrets, and the log of deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobyard.calls import R, Resource, call, stream
from jobyard.exchange import Id, ask, delete, get, given, pages, patch, post, query_of, read_as, segment
from jobyard.flows import Flow, Request, Stream
from jobyard.retries import with_key
from jobyard.webhook_models import Delivery, Replayed, Webhook, WebhookSecret

FOR_JOBS = "for-jobs"
"""Names the webhook that stands for the `webhook_url` of single jobs."""

AnyWebhook = Webhook | Id
"""A webhook, or its id, or `for-jobs`."""
_KEEP: Any = object()
_LONGEST_TEST_SECONDS = 20


class Webhooks(Resource[R]):
    """Is the webhooks of the account."""

    @call
    def create(
        self,
        url: str,
        events: Sequence[str] | None = None,
        *,
        description: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Webhook]:
        """Register a URL for events: names, families such as `job.*`, or all; the answer alone has the `secret`."""
        body = given(url=url, events=events, description=description)
        return read_as(Webhook, (yield from post(self.session, "/v1/webhooks", body, key=idempotency_key)))

    @stream
    def list(self, *, limit: int | None = None) -> Stream[Webhook]:
        """List webhooks, newest first, page after page."""
        yield from pages(self.session, "/v1/webhooks", Webhook, limit=limit)

    @call
    def get(self, webhook: AnyWebhook) -> Flow[Webhook]:
        """Read a webhook; raises `NotFound`."""
        return read_as(Webhook, (yield from get(self.session, _path(webhook))))

    @call
    def update(
        self,
        webhook: AnyWebhook,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = _KEEP,
        disabled: bool | None = None,
    ) -> Flow[Webhook]:
        """Change a webhook; what is not given stays, and `description=None` takes it away."""
        body = given(url=url, events=events, disabled=disabled)
        if description is not _KEEP:
            body["description"] = description
        return read_as(Webhook, (yield from patch(self.session, _path(webhook), body)))

    @call
    def delete(self, webhook: AnyWebhook) -> Flow[None]:
        """Delete a webhook with its log; raises `NotFound`."""
        yield from delete(self.session, _path(webhook))

    @call
    def secret(self, webhook: AnyWebhook) -> Flow[WebhookSecret]:
        """Show the secret that signatures are verified with."""
        return read_as(WebhookSecret, (yield from get(self.session, f"{_path(webhook)}/secret")))

    @call
    def rotate_secret(self, webhook: AnyWebhook, *, overlap_seconds: int | None = None) -> Flow[WebhookSecret]:
        """Make a new secret; for the overlap (a day unless said) the one before signs too."""
        body = given(overlap_seconds=overlap_seconds)
        return read_as(WebhookSecret, (yield from post(self.session, f"{_path(webhook)}/rotate-secret", body)))

    @call
    def test(self, webhook: AnyWebhook) -> Flow[Delivery]:
        """Send an event that means nothing, once; its delivery says what came of it, `pending` after 20 s without."""
        asked = Request(
            method="POST",
            path=f"{_path(webhook)}/test",
            headers={"Prefer": f"wait={_LONGEST_TEST_SECONDS}"},
            read_seconds=_LONGEST_TEST_SECONDS + self.session.timeout,
        )
        return read_as(Delivery, (yield from ask(self.session, with_key(asked))))

    @stream
    def deliveries(
        self,
        webhook: AnyWebhook,
        *,
        state: str | Sequence[str] | None = None,
        event: str | Sequence[str] | None = None,
        subject_id: Id | None = None,
        limit: int | None = None,
    ) -> Stream[Delivery]:
        """List deliveries, newest first, page after page: in any of the states, of any of the events."""
        query = query_of(state=state, event=event, subject_id=subject_id)
        yield from pages(self.session, f"{_path(webhook)}/deliveries", Delivery, query, limit)

    @call
    def delivery(self, webhook: AnyWebhook, delivery: Delivery | Id) -> Flow[Delivery]:
        """Read a delivery with the `body` that is sent; raises `NotFound`."""
        return read_as(Delivery, (yield from get(self.session, _delivery_path(webhook, delivery))))

    @call
    def replay(self, webhook: AnyWebhook, delivery: Delivery | Id) -> Flow[Delivery]:
        """Send a delivery again, as a delivery of its own; the event keeps its id."""
        return read_as(Delivery, (yield from post(self.session, f"{_delivery_path(webhook, delivery)}/replay")))

    @call
    def replay_failed(self, webhook: AnyWebhook, since: datetime) -> Flow[Replayed]:
        """Send again what failed since then; with `more`, ask again for the rest."""
        return read_as(Replayed, (yield from post(self.session, f"{_path(webhook)}/replay-failed", {"since": since})))


def _path(webhook: AnyWebhook) -> str:
    if not isinstance(webhook, Webhook):
        return f"/v1/webhooks/{segment(webhook)}"
    return f"/v1/webhooks/{FOR_JOBS if webhook.url is None else segment(webhook.id)}"


def _delivery_path(webhook: AnyWebhook, delivery: Delivery | Id) -> str:
    return f"{_path(webhook)}/deliveries/{segment(delivery.id if isinstance(delivery, Delivery) else delivery)}"
