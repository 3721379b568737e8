"""`jobyard resize`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from jobyard import AsyncJobyard, File, Job, Progress
from jobyard.command.bars import Bar, Bars
from jobyard.command.exits import CommandFailed
from jobyard.command.files import Force, Output, fetch, is_directory
from jobyard.command.inputs import STDIN, Input, read_inputs, usage
from jobyard.command.jobs import show_jobs
from jobyard.command.names import Outputs
from jobyard.command.options import command
from jobyard.command.run import Run
from jobyard.command.work import finish, judge, side_by_side

app = typer.Typer()


class Fit(StrEnum):
    """Says how a picture goes into a box."""

    INSIDE = "inside"
    COVER = "cover"
    PAD = "pad"
    EXACT = "exact"


class Format(StrEnum):
    """Says how a picture is written."""

    KEEP = "keep"
    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    AVIF = "avif"


@dataclass(frozen=True, slots=True)
class _Resized:
    job: Job
    paths: Sequence[str]


@command(app)
def resize(
    run: Run,
    *,
    pictures: Annotated[
        list[str], typer.Argument(metavar="PICTURE...", help="Paths, or ids of files; - is standard input.")
    ],
    width: Annotated[int | None, typer.Option(min=1, help="Of the box, in pixels.")] = None,
    height: Annotated[int | None, typer.Option(min=1, help="Of the box, in pixels.")] = None,
    fit: Annotated[Fit | None, typer.Option(help="How it goes into the box.")] = None,
    image_format: Annotated[Format | None, typer.Option("--format", help="How it is written.")] = None,
    quality: Annotated[int | None, typer.Option(min=1, max=100, help="Of JPEG, WebP and AVIF.")] = None,
    preset: Annotated[str | None, typer.Option(help="One of yours, in place of all these.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is done.")] = False,
    output: Output = None,
    force: Force = False,
) -> None:
    """Resize pictures. With -o it waits and downloads what was made."""
    inputs = read_inputs(pictures, stored=True)
    if output is not None and len(inputs) > 1 and not is_directory(output):
        raise usage("several pictures need a directory: -o out/")
    wanted: dict[str, Any] = {"width": width, "height": height, "quality": quality, "preset": preset}
    wanted |= {"fit": fit and fit.value, "format": image_format and image_format.value}
    resized = _resize(run, inputs, wanted, output, Outputs(force=force), wait=wait)
    _show(run, resized, asked=len(inputs), output=output)
    judge(run, [each.job for each in resized])


def _resize(
    run: Run, inputs: Sequence[Input], wanted: Mapping[str, Any], output: str | None, outputs: Outputs, *, wait: bool
) -> list[_Resized]:
    async def resize_all(client: AsyncJobyard) -> list[_Resized]:
        with Bars(run.screen) as bars:

            async def resize_one(given: Input) -> _Resized:
                with bars.add(given.name) as bar:
                    job = await _enqueue(client, given, wanted, bar)
                    if not wait and output is None:
                        return _Resized(job, ())
                    job = await finish(run, client, job, bar)
                    return _Resized(job, await _download(run, client, job, output, outputs, bar))

            return await side_by_side(run, inputs, resize_one)

    return run.perform(resize_all)


async def _enqueue(client: AsyncJobyard, given: Input, wanted: Mapping[str, Any], bar: Bar) -> Job:
    def see(progress: Progress) -> None:
        bar.transfer("uploaded", progress.completed, progress.total)

    if given.content is None:
        return await client.images.resize(given.text, **wanted)
    return await client.images.resize(given.content, name=given.name, on_progress=see, **wanted)


async def _download(
    run: Run, client: AsyncJobyard, job: Job, output: str | None, outputs: Outputs, bar: Bar
) -> list[str]:
    made: list[File] = []
    for rendition in (job.result or {}).get("renditions", ()):
        if rendition["error"]:
            problem = rendition["error"]
            run.later(CommandFailed("Rendition failed", problem["detail"], code=problem["code"]))
        elif output is not None:
            made.append(await client.files.get(rendition["file_id"]))
    if output == STDIN and len(made) > 1:
        raise usage("several renditions need a directory: -o out/")
    return [await fetch(client, file, output, outputs, bar) for file in made] if output is not None else []


def _show(run: Run, resized: Sequence[_Resized], *, asked: int, output: str | None) -> None:
    jobs = [each.job for each in resized]
    if output == STDIN:
        return
    if output is None or run.screen.json_wanted:
        show_jobs(run, jobs, asked=asked)
        return
    for each in resized:
        for path in each.paths:
            run.screen.line(path)
