"""`jobyard mail`."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from jobyard import AsyncJobyard, Email
from jobyard.command.bars import Bars
from jobyard.command.exits import CommandFailed
from jobyard.command.inputs import STDIN, Input, read_inputs, text_of, usage
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.stored import store_all
from jobyard.command.work import finish

app = typer.Typer()

_Addresses = list[str] | None


@command(app)
def mail(
    run: Run,
    *,
    to: Annotated[list[str], typer.Option(metavar="ADDRESS", help="Whom to; may be repeated.")],
    subject: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    text: Annotated[str | None, typer.Option(help="What it says.")] = None,
    html: Annotated[str | None, typer.Option(help="What it says, as HTML.")] = None,
    text_file: Annotated[str | None, typer.Option(metavar="FILE", help="Where it is read from; - too.")] = None,
    html_file: Annotated[str | None, typer.Option(metavar="FILE", help="Where the HTML is read from.")] = None,
    template: Annotated[str | None, typer.Option(help="One of yours, in place of subject and texts.")] = None,
    variables: Annotated[
        str | None, typer.Option(metavar="JSON", help="What the template shows; @file reads it.")
    ] = None,
    attach: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="A path, or the id of a file; may be repeated.")
    ] = None,
    cc: Annotated[_Addresses, typer.Option(metavar="ADDRESS", help="Who gets a copy.")] = None,
    bcc: Annotated[_Addresses, typer.Option(metavar="ADDRESS", help="Who gets one that nobody sees.")] = None,
    sender: Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="Whom from.")] = None,
    reply_to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where answers go.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find it by.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until nothing more will be tried.")] = False,
) -> None:
    """Send an e-mail. Its text is taken from standard input when nothing else says it."""
    said = _read_texts(text, html, text_file, html_file, templated=template is not None)
    said |= {"to": to, "subject": subject, "template": template, "variables": _read_variables(variables)}
    said |= {"sender": sender, "reply_to": reply_to, "cc": cc or (), "bcc": bcc or (), "tags": tag or ()}
    email = _send(run, said, read_inputs(attach or (), stored=True), wait=wait)
    _show(run, email)
    if wait:
        _judge(run, email)


def _send(run: Run, said: Mapping[str, Any], attachments: Sequence[Input], *, wait: bool) -> Email:
    async def send(client: AsyncJobyard) -> Email:
        with Bars(run.screen) as bars:
            email = await client.emails.send(**said, attachments=await store_all(run, client, attachments, bars))
            if not wait or email.job_id is None:
                return email
            with bars.add(email.subject) as bar:
                await finish(run, client, await client.jobs.get(email.job_id), bar)
            return await client.emails.get(email)

    return run.perform(send)


def _read_texts(
    text: str | None, html: str | None, text_file: str | None, html_file: str | None, *, templated: bool
) -> dict[str, Any]:
    if (text and text_file) or (html and html_file):
        raise usage("a text and its file exclude each other")
    if text_file is not None:
        text = _read(text_file)
    if html_file is not None:
        html = _read(html_file)
    if text is None and html is None and not templated:
        text = "" if sys.stdin.isatty() else sys.stdin.read()
        if not text:
            raise usage("it says nothing: give --text, --html, --text-file, or a text on standard input")
    return {"text": text, "html": html}


def _read(file: str) -> str:
    return text_of(STDIN if file == STDIN else f"@{file}")


def _read_variables(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return dict(json.loads(text_of(text)))
    except (TypeError, ValueError):
        raise usage("--variables must be a JSON object") from None


def _show(run: Run, email: Email) -> None:
    if run.screen.json_wanted:
        run.screen.document(email.raw)
        return
    run.screen.facts({"id": email.id, "subject": email.subject, "from": email.sender, "job": email.job_id})
    rows = [
        (each.address, each.role, each.state, _reply(each.reply_code, each.reply_text)) for each in email.recipients
    ]
    run.screen.table(("recipient", "role", "state", "reply"), rows)


def _reply(code: int | None, text: str | None) -> str:
    return " ".join(filter(None, (str(code or ""), text)))


def _judge(run: Run, email: Email) -> None:
    missed: Sequence[str] = [each.address for each in email.recipients if each.state != "sent"]
    if missed:
        run.later(CommandFailed("Not sent", f"it has not gone to {', '.join(missed)}", code="email_not_sent"))
