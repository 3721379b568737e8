"""Files that a command needs to be stored: those that are not yet are uploaded first."""

from collections.abc import Sequence

from jobyard import AsyncJobyard, Progress
from jobyard.command.bars import Bars
from jobyard.command.inputs import Input
from jobyard.command.run import Run
from jobyard.command.work import MOST_AT_ONCE, gather_all


async def store_all(run: Run, client: AsyncJobyard, inputs: Sequence[Input], bars: Bars) -> list[str]:
    """Give the ids of all of these, in their order; raises when one cannot be stored."""

    async def store(given: Input) -> str:
        if given.content is None:
            return given.text
        with bars.add(given.name) as bar:

            def see(progress: Progress) -> None:
                run.note_upload(given.text, progress)
                bar.transfer("uploaded", progress.completed, progress.total)

            return (await client.files.upload(given.content, name=given.name, on_progress=see)).id

    return await gather_all(inputs, store, MOST_AT_ONCE)
