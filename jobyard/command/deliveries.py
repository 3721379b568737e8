"""`jobyard webhooks deliveries|replay`: the log of what was sent to a webhook."""

from collections.abc import Sequence
from typing import Annotated

import typer

from jobyard import AsyncJobyard, Delivery
from jobyard.command.cells import Cell
from jobyard.command.lists import All, Limit, collect, limit_of
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import show_json, side_by_side

_Id = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, or for-jobs.")]
_COLUMNS = ("id", "event", "state", "attempts", "answer", "created")


def list_deliveries(
    run: Run,
    *,
    webhook_id: _Id,
    state: Annotated[list[str] | None, typer.Option(help="In this state; any of them when repeated.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="Of this event; any of them when repeated.")] = None,
    limit: Limit = 50,
    everything: All = False,
) -> None:
    """List what was sent to a webhook and what came of it, newest first."""

    async def read(client: AsyncJobyard) -> list[Delivery]:
        most = limit_of(limit, everything=everything)
        return await collect(client.webhooks.deliveries(webhook_id, state=state, event=event, limit=most))

    deliveries = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document([delivery.raw for delivery in deliveries])
    else:
        run.screen.list(_COLUMNS, _rows(deliveries))


def replay_deliveries(
    run: Run,
    webhook_id: _Id,
    ids: Annotated[list[str], typer.Argument(metavar="DELIVERY...", help="Ids of deliveries.")],
) -> None:
    """Send deliveries again, each as a delivery of its own."""

    async def replay_all(client: AsyncJobyard) -> list[Delivery]:
        return await side_by_side(run, ids, lambda delivery_id: client.webhooks.replay(webhook_id, delivery_id))

    deliveries = run.perform(replay_all)
    if run.screen.json_wanted:
        show_json(run, deliveries, len(ids))
    else:
        run.screen.table(_COLUMNS, _rows(deliveries))


def add_to(app: typer.Typer) -> None:
    """Make them commands of `app`."""
    command(app, "deliveries")(list_deliveries)
    command(app, "replay")(replay_deliveries)


def show_delivery(run: Run, delivery: Delivery) -> None:
    """Show a delivery that was just ordered."""
    if run.screen.json_wanted:
        run.screen.document(delivery.raw)
    else:
        run.screen.table(_COLUMNS, _rows([delivery]))


def _rows(deliveries: Sequence[Delivery]) -> list[tuple[Cell, ...]]:
    return [
        (
            each.id,
            each.event,
            each.state,
            each.attempts,
            str(each.response_status or "") or each.error,
            each.created_at,
        )
        for each in deliveries
    ]
