"""`jobyard archive`."""

from pathlib import Path
from typing import Annotated

import typer

from jobyard import AsyncJobyard, Job
from jobyard.command.bars import Bars
from jobyard.command.files import Force, Output, fetch, is_directory
from jobyard.command.inputs import STDIN, read_inputs
from jobyard.command.jobs import show_jobs
from jobyard.command.names import Outputs
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.stored import store_all
from jobyard.command.work import finish, judge

app = typer.Typer()
_DEFAULT_NAME = "archive.zip"


@command(app)
def archive(
    run: Run,
    *,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Paths, or ids of files; - is standard input.")],
    name: Annotated[str | None, typer.Option(help="The archive's name; else that of -o.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
    output: Output = None,
    force: Force = False,
) -> None:
    """Pack files into a ZIP archive. With -o it waits and downloads it."""
    inputs = read_inputs(files, stored=True)
    outputs = Outputs(force=force)

    async def pack(client: AsyncJobyard) -> tuple[Job, str]:
        with Bars(run.screen) as bars:
            ids = await store_all(run, client, inputs, bars)
            job = await client.archives.create(ids, name or _name_of(output))
            if not wait and output is None:
                return job, ""
            with bars.add(name or _name_of(output)) as bar:
                job = await finish(run, client, job, bar)
                if output is None or job.result is None:
                    return job, ""
                file = await client.files.get(str(job.result["file_id"]))
                return job, await fetch(client, file, output, outputs, bar)

    job, path = run.perform(pack)
    if output is None or run.screen.json_wanted:
        if output != STDIN:
            show_jobs(run, [job], asked=1)
    elif path:
        run.screen.line(path)
    judge(run, [job])


def _name_of(output: str | None) -> str:
    if output is None or output == STDIN or is_directory(output):
        return _DEFAULT_NAME
    return Path(output).name
