"""Options that every command takes, before or after its name, and how a function becomes a command with them."""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from jobyard.command.exits import CommandFailed, ExitStatus
from jobyard.command.problems import report
from jobyard.command.run import Run, Wishes

P = ParamSpec("P")
Function = Callable[Concatenate[Run, P], None]

# As a shell says of what was ended by SIGPIPE.
_BROKEN_PIPE = 141
_PANEL = "Options of every command"


def _shared(
    *,
    url: Annotated[
        str | None,
        typer.Option(help="Where Jobyard is; else JOBYARD_URL, else where you signed in.", rich_help_panel=_PANEL),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print what the server says, as JSON.", rich_help_panel=_PANEL)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print results and errors only.", rich_help_panel=_PANEL)
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Print without colour, as NO_COLOR does.", rich_help_panel=_PANEL)
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="How long it may take in all.", rich_help_panel=_PANEL),
    ] = None,
) -> Wishes:
    return Wishes(url, json, quiet, no_color, timeout)


_NAMES = tuple(field.name for field in fields(Wishes))


def command(app: typer.Typer, name: str | None = None) -> Callable[[Function[P]], Function[P]]:
    """Make a function a command of `app`; what it raises becomes one line and an exit status."""

    def register(function: Function[P]) -> Function[P]:
        def invoke(context: typer.Context, **given: Any) -> None:
            own = _shared(**{each: given.pop(each) for each in _NAMES})
            raise typer.Exit(_complete(_join(context.find_root().obj, own), function, given))

        declare(invoke, list(inspect.signature(function).parameters.values())[1:])
        app.command(name or function.__name__, help=inspect.cleandoc(function.__doc__ or ""))(invoke)
        return function

    return register


def begin(context: typer.Context, **given: Any) -> None:
    """Keep what was asked for before the command's name."""
    context.obj = _shared(**{each: given[each] for each in _NAMES})


def declare(function: Callable[..., None], own: list[inspect.Parameter]) -> None:
    """Give a function that takes a context these parameters and those of every command, as far as Typer sees."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    everything = [context, *own, *inspect.signature(_shared).parameters.values()]
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in everything]
    function.__dict__["__signature__"] = inspect.Signature(named)
    function.__annotations__ = {each.name: each.annotation for each in named}


def _join(before: Wishes, after: Wishes) -> Wishes:
    """Join what was asked for before and after the command's name; what comes after wins."""
    return Wishes(*(getattr(after, each) or getattr(before, each) for each in _NAMES))


def _complete(wishes: Wishes, function: Callable[..., None], given: dict[str, Any]) -> int:
    run = Run(wishes)
    try:
        function(run, **given)
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        run.fail(ExitStatus.INTERRUPTED)
        run.later(CommandFailed("Interrupted", "nothing more is done here", code="interrupted"))
    except Exception as error:  # noqa: BLE001 - whatever it is, a person wants one line
        run.later(error)
    for failure in run.failures:
        run.fail(report(run.screen, failure))
    if run.failures:
        run.tell_what_goes_on()
    return run.status
