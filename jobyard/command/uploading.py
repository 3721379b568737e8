"""`jobyard upload`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from jobyard import AsyncJobyard, File, Progress
from jobyard.command.bars import Bars
from jobyard.command.files import show_files
from jobyard.command.inputs import Input, read_inputs, usage
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import side_by_side

app = typer.Typer()


@command(app)
def upload(
    run: Run,
    *,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths; - is standard input.")],
    description: Annotated[str | None, typer.Option(help="What to remember of them.")] = None,
    name: Annotated[str | None, typer.Option(help="The name to store a single file under.")] = None,
    resumable: Annotated[
        bool, typer.Option("--resumable", help="Upload in pieces that survive broken connections, small files too.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="URL", help="Continue an upload of this file that broke off.")
    ] = None,
) -> None:
    """Store files. What is larger than 8 MiB goes in pieces that survive broken connections."""
    inputs = read_inputs(files)
    if (name or resume) and len(inputs) > 1:
        raise usage("--name and --resume are for a single file")

    said = {"description": description, "resumable": resumable or None}

    async def send_all(client: AsyncJobyard) -> list[File]:
        with Bars(run.screen) as bars:

            async def send(given: Input) -> File:
                return await _send(run, client, given, bars, said | {"name": name or given.name}, resume)

            return await side_by_side(run, inputs, send)

    show_files(run, run.perform(send_all), asked=len(inputs))


async def _send(
    run: Run, client: AsyncJobyard, given: Input, bars: Bars, said: Mapping[str, Any], resume: str | None
) -> File:
    with bars.add(said["name"]) as bar:
        content = given.required()

        def see(progress: Progress) -> None:
            run.note_upload(given.text, progress)
            bar.transfer("uploaded", progress.completed, progress.total)

        if resume:
            return await client.files.resume_upload(resume, content, on_progress=see)
        return await client.files.upload(content, on_progress=see, **said)
