"""`jobyard files ls|show|get|rm`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from jobyard import AsyncJobyard, File, Progress
from jobyard.command.bars import Bar, Bars
from jobyard.command.cells import Cell
from jobyard.command.inputs import STDIN, usage
from jobyard.command.lists import All, Limit, collect, limit_of
from jobyard.command.names import Outputs, safe_name
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import show_json, side_by_side

app = typer.Typer(name="files", no_args_is_help=True, help="Stored files.")

_COLUMNS = ("id", "name", "size", "media type", "created")

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of files.")]
Output = Annotated[
    str | None,
    typer.Option("--output", "-o", help="A file, or a directory (out/); - is standard output.", metavar="PATH"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]


@command(app, "ls")
def list_files(run: Run, *, limit: Limit = 50, everything: All = False) -> None:
    """List files, newest first."""

    async def read(client: AsyncJobyard) -> list[File]:
        return await collect(client.files.list(limit=limit_of(limit, everything=everything)))

    files = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document([file.raw for file in files])
    else:
        run.screen.list(_COLUMNS, _rows(run, files))


@command(app, "show")
def show_file(run: Run, file_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show what is known of a file."""

    async def read(client: AsyncJobyard) -> File:
        return await client.files.get(file_id)

    file = run.perform(read)
    if run.screen.json_wanted:
        run.screen.document(file.raw)
        return
    run.screen.facts(
        {
            "id": file.id,
            "name": file.name,
            "description": file.description,
            "size": f"{file.size} ({decimal(file.size)})",
            "media type": file.media_type,
            "sha256": file.sha256,
            "purpose": file.purpose,
            "job": file.job_id,
            "created": file.created_at,
            "expires": file.expires_at,
        }
    )


@command(app, "get")
def get_files(run: Run, *, ids: Ids, output: Output = None, force: Force = False) -> None:
    """Download files, under their own names unless -o names another."""
    if output is not None and len(ids) > 1 and not is_directory(output):
        raise usage("several files need a directory: -o out/")

    async def download_all(client: AsyncJobyard) -> list[tuple[File, str]]:
        outputs = Outputs(force=force)
        with Bars(run.screen) as bars:

            async def download(file_id: str) -> tuple[File, str]:
                file = await client.files.get(file_id)
                with bars.add(file.name) as bar:
                    return file, await fetch(client, file, output or "./", outputs, bar)

            return await side_by_side(run, ids, download)

    show_downloads(run, run.perform(download_all), asked=len(ids))


@command(app, "rm")
def remove_files(run: Run, ids: Ids) -> None:
    """Delete files; one that a job needs stays until the job is done."""

    async def remove_all(client: AsyncJobyard) -> list[str]:
        async def remove(file_id: str) -> str:
            await client.files.delete(file_id)
            return file_id

        return await side_by_side(run, ids, remove)

    for file_id in run.perform(remove_all):
        run.screen.note(f"{file_id} is deleted")


async def fetch(client: AsyncJobyard, file: File, output: str, outputs: Outputs, bar: Bar) -> str:
    """Download a file to where `output` says; gives the path, or nothing for standard output."""

    def see(progress: Progress) -> None:
        bar.transfer("downloaded", progress.completed, progress.total)

    if output == STDIN:
        if sys.stdout.isatty():
            raise usage("a file is not written to a terminal; give -o a path")
        await client.files.download(file, sys.stdout.buffer, see)
        sys.stdout.buffer.flush()
        return ""
    with outputs.place(_target(output, file.name)) as path:
        await client.files.download(file, path, see)
        return str(path)


def _target(output: str, name: str) -> Path:
    target = Path(output)
    if not is_directory(output):
        return target
    target.mkdir(parents=True, exist_ok=True)
    return target / safe_name(name)


def is_directory(output: str) -> bool:
    """Tell whether a path means a directory: it is one, or ends as one."""
    return output.endswith("/") or Path(output).is_dir()


def show_files(run: Run, files: Sequence[File], *, asked: int) -> None:
    """Show files that were just stored."""
    if run.screen.json_wanted:
        show_json(run, files, asked)
    else:
        run.screen.table(_COLUMNS, _rows(run, files))


def show_downloads(run: Run, downloads: Sequence[tuple[File, str]], *, asked: int) -> None:
    """Show where downloads are, a path in each line; nothing if they went to standard output themselves."""
    if run.screen.json_wanted and all(path for _, path in downloads):
        show_json(run, [file for file, _ in downloads], asked)
        return
    for _, path in downloads:
        if path:
            run.screen.line(path)


def _rows(run: Run, files: Sequence[File]) -> list[tuple[Cell, ...]]:
    # A program counts bytes.
    shown = decimal if run.screen.is_terminal else str
    return [(file.id, file.name, shown(file.size), file.media_type, file.created_at) for file in files]
