"""The tree of commands, and the program's beginning and end."""

import gc
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # pyright: ignore[reportPrivateImportUsage] - no other way in

from jobyard._version import __version__
from jobyard.command.completion import install_completion
from jobyard.command.exits import CommandFailed, ExitStatus
from jobyard.command.interrupts import interrupts
from jobyard.command.options import begin, declare
from jobyard.command.problems import report
from jobyard.command.screen import Screen
from jobyard.command.tree import Tree

PROGRAM = "jobyard"


def main() -> int:
    """Run the command that the program's arguments name and give its exit status."""
    arguments = sys.argv[1:]
    interrupts.install()
    try:
        status = make_app()(arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        if not (said := error.format_message()):
            # A group without a command has shown its help instead.
            return ExitStatus.USAGE
        wrong = CommandFailed("Wrong use", said, code="usage", status=ExitStatus.USAGE)
        return report(Screen(json_wanted="--json" in arguments), wrong)
    except (typer.Abort, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    finally:
        # Else the interpreter looks through all that was imported, on its way out.
        gc.freeze()
    return int(status or 0)


def make_app() -> typer.Typer:
    """Put the commands together."""
    completion_init()
    app = typer.Typer(
        name=PROGRAM,
        cls=Tree,
        add_completion=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
    )
    app.callback(help=_HELP)(_root())
    return app


_HELP = (
    "Upload files, resize pictures, send e-mails and follow jobs on a Jobyard.\n\n"
    "Exit status: 0 fine; 1 the job or other work failed; 2 wrong use; 3 not signed in, or refused; 4 not found; "
    "5 a conflict or invalid input; 6 the service cannot be reached, or fails; 7 not done in time; 130 interrupted."
)


def _show_version(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    # A shell that completes the words behind it wants no version.
    if wanted and not context.resilient_parsing:
        print(f"{PROGRAM} {__version__}")  # noqa: T201 - its purpose
        raise typer.Exit


def _root() -> Any:
    def invoke(context: typer.Context, **given: Any) -> None:
        begin(context, **given)

    ends = {
        "version": ("Print the version and end.", _show_version),
        "install_completion": ("Let the shell that you use complete the words of this command.", install_completion),
    }
    declare(invoke, [_flag(name, text, act) for name, (text, act) in ends.items()])
    return invoke


def _flag(name: str, text: str, act: Callable[[typer.Context, bool], None]) -> inspect.Parameter:
    option = typer.Option(f"--{name.replace('_', '-')}", callback=act, is_eager=True, help=text)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])
