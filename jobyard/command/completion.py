"""Completion: the scripts that let a shell complete the command's words, printed or installed."""

import io
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.completion import get_completion_script, install  # pyright: ignore[reportPrivateImportUsage] - no other way

from jobyard.command.exits import CommandFailed
from jobyard.command.inputs import usage
from jobyard.command.options import command
from jobyard.command.problems import report
from jobyard.command.run import Run
from jobyard.command.screen import Screen

app = typer.Typer()

_PROGRAM = "jobyard"
_VARIABLE = "_JOBYARD_COMPLETE"
# At its first question zsh runs the script as the function that is to answer; Typer's answers from the second one on.
_REGISTERED = "compdef _jobyard_completion jobyard"
_ANSWERED = f"""if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _jobyard_completion "$@"
else
  {_REGISTERED}
fi"""


class Shell(StrEnum):
    """Names a shell whose words can be completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(app)
def completion(_run: Run, shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the completion script of a shell; `jobyard --install-completion` installs that of yours."""
    print(_script(shell))  # noqa: T201 - the shell reads it as it is


def install_completion(context: typer.Context, wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    """Install the completion of the shell that the command is called from, and end."""
    if not wanted or context.resilient_parsing:
        return
    try:
        shell, path = _install()
    except (CommandFailed, OSError) as error:
        raise typer.Exit(report(Screen(), error)) from None
    print(f"The completion of {shell} is installed in {path}; a new shell has it.")  # noqa: T201 - its purpose
    raise typer.Exit


def _install() -> tuple[str, Path]:
    try:
        with redirect_stdout(io.StringIO()):
            shell, path = install(prog_name=_PROGRAM, complete_var=_VARIABLE)
    except typer.Exit:
        raise usage("this is not called from a shell that is known: bash, zsh or fish") from None
    if shell == Shell.ZSH:
        path.write_text(f"{_script(shell)}\n")
    return shell, path


def _script(shell: str) -> str:
    script = get_completion_script(prog_name=_PROGRAM, complete_var=_VARIABLE, shell=shell)
    return script.replace(_REGISTERED, _ANSWERED)
