"""`jobyard webhooks ls|create|show|update|rm|secret|rotate|test`; their deliveries are in `deliveries`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from jobyard import AsyncJobyard, Webhook, WebhookSecret
from jobyard.command.deliveries import add_to, show_delivery
from jobyard.command.exits import CommandFailed, ExitStatus
from jobyard.command.inputs import usage
from jobyard.command.lists import All, Limit, collect, limit_of
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import side_by_side

app = typer.Typer(name="webhooks", no_args_is_help=True, help="Webhooks: where your events are sent.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, or for-jobs.")]
_Events = Annotated[
    list[str] | None, typer.Option("--event", help="What to tell: job.failed, job.* or all; may be repeated.")
]
_Description = Annotated[str | None, typer.Option(help="Yours, to know it by.")]


@command(app, "ls")
def list_webhooks(run: Run, *, limit: Limit = 50, everything: All = False) -> None:
    """List webhooks, newest first."""

    async def read(client: AsyncJobyard) -> list[Webhook]:
        return await collect(client.webhooks.list(limit=limit_of(limit, everything=everything)))

    webhooks = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document([webhook.raw for webhook in webhooks])
        return
    rows = [(each.id, each.url, each.events, _state_of(each), each.failures) for each in webhooks]
    run.screen.list(("id", "url", "events", "state", "failures"), rows)


@command(app, "create")
def create_webhook(
    run: Run,
    target: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    event: _Events = None,
    description: _Description = None,
) -> None:
    """Register a webhook. Its secret is shown: the receiver needs it."""
    _act(run, lambda client: client.webhooks.create(target, event, description=description), with_secret=True)


@command(app, "show")
def show_webhook(run: Run, webhook_id: _Id) -> None:
    """Show a webhook and how it goes."""
    _act(run, lambda client: client.webhooks.get(webhook_id))


@command(app, "update")
def update_webhook(
    run: Run,
    webhook_id: _Id,
    target: Annotated[str | None, typer.Option("--to", metavar="URL", help="Where events are sent.")] = None,
    event: _Events = None,
    description: _Description = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether anything is sent.")] = None,
) -> None:
    """Change a webhook; what is not given stays."""
    changes: dict[str, Any] = {"url": target, "events": event, "disabled": disabled}
    if description is not None:
        changes["description"] = description or None
    if all(value is None for value in changes.values()) and description is None:
        raise usage("nothing to change: give --to, --event, --description, --disable or --enable")
    _act(run, lambda client: client.webhooks.update(webhook_id, **changes))


@command(app, "rm")
def remove_webhooks(
    run: Run, ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of webhooks.")]
) -> None:
    """Delete webhooks with their logs."""

    async def remove_all(client: AsyncJobyard) -> list[str]:
        async def remove(webhook_id: str) -> str:
            await client.webhooks.delete(webhook_id)
            return webhook_id

        return await side_by_side(run, ids, remove)

    for webhook_id in run.perform(remove_all):
        run.screen.note(f"{webhook_id} is deleted")


@command(app, "secret")
def show_secret(run: Run, webhook_id: _Id) -> None:
    """Show the secret that the receiver verifies signatures with."""

    async def read(client: AsyncJobyard) -> WebhookSecret:
        return await client.webhooks.secret(webhook_id)

    secret = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document(secret.raw)
    else:
        run.screen.line(secret.secret)


@command(app, "rotate")
def rotate_secret(
    run: Run,
    webhook_id: _Id,
    overlap: Annotated[
        int | None, typer.Option(min=0, metavar="SECONDS", help="How long the old one signs too; a day.")
    ] = None,
) -> None:
    """Go over to a new secret; `jobyard webhooks secret` shows it."""

    async def rotate(client: AsyncJobyard) -> Webhook:
        await client.webhooks.rotate_secret(webhook_id, overlap_seconds=overlap)
        return await client.webhooks.get(webhook_id)

    _act(run, rotate)
    run.screen.note(f"see the new secret with: jobyard webhooks secret {webhook_id}")


@command(app, "test")
def test_webhook(run: Run, webhook_id: _Id) -> None:
    """Send an event that means nothing, once, and show what came of it."""
    delivery = run.perform(lambda client: client.webhooks.test(webhook_id))
    show_delivery(run, delivery)
    if delivery.state == "pending":
        raise CommandFailed(
            "Not done in time", "it is still to be sent", code="wait_timeout", status=ExitStatus.TIMED_OUT
        )
    if delivery.state != "delivered":
        raise CommandFailed("Not delivered", delivery.error or delivery.state, code="not_delivered")


add_to(app)


def _act(run: Run, act: Callable[[AsyncJobyard], Awaitable[Webhook]], *, with_secret: bool = False) -> None:
    webhook = run.perform(act)
    if run.screen.json_wanted:
        run.screen.document(webhook.raw)
        return
    run.screen.facts(
        {
            "id": webhook.id,
            "url": webhook.url,
            "events": list(webhook.events),
            "description": webhook.description,
            "state": _state_of(webhook),
            "failures": webhook.failures or None,
            "resting until": webhook.resting_until,
            "secret": webhook.secret if with_secret else None,
            "old secret until": webhook.secret_rotates_until,
            "created": webhook.created_at,
        }
    )


def _state_of(webhook: Webhook) -> str:
    return f"disabled ({webhook.disabled_reason})" if webhook.disabled else "enabled"
