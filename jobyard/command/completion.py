"""`jobyard completion`: the script that lets a shell complete the command's words."""

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage] - no other way in

from jobyard.command.options import command
from jobyard.command.run import Run

app = typer.Typer()


class Shell(StrEnum):
    """Names a shell whose words can be completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(app)
def completion(_run: Run, shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print the completion script of a shell; `jobyard --install-completion` installs that of yours."""
    script = get_completion_script(prog_name="jobyard", complete_var="_JOBYARD_COMPLETE", shell=shell.value)
    print(script)  # noqa: T201 - the shell reads it as it is
