"""Downloads of a large file, as a whole and in ranges: what they cost the server in CPU time."""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ops.leash import Leash
from tests.bench.beside_guide import say
from tests.bench.figures import Samples
from tests.bench.file_fronts import MEGABYTE, GuideFiles, JobyardFiles, content_file
from tests.bench.plan import Plan
from tests.bench.programs import cpu_seconds
from tests.bench.report import Part
from tests.bench.transfers import Outcome, TransferFailed, download, upload

RIVAL, SUBJECT = "FileResponse", "jobyard"
_WHOLE, _RANGES = "the whole file", "in ranges of 1 MB, in any order"
_TARGET = "target ≥ 1"
_SEED = 4


@dataclass(frozen=True)
class _Source:
    name: str
    front: GuideFiles | JobyardFiles
    path: str

    def get(self, starts: Sequence[int | None]) -> Outcome:
        """Ask for a range from each start, or (None) for everything."""
        ranges = [{} if start is None else {"Range": f"bytes={start}-{start + MEGABYTE - 1}"} for start in starts]
        headers = [self.front.headers | each for each in ranges]
        return download(self.front.port, self.path, headers, 200 if None in starts else 206)


def measure_downloads(directory: Path, plan: Plan) -> Part:
    """Download from both by turns."""
    file = content_file(plan.download_megabytes)
    starts = [number * MEGABYTE for number in range(plan.download_megabytes)]
    random.Random(_SEED).shuffle(starts)  # noqa: S311 - the same order every time is the point
    samples = Samples(f"{plan.download_megabytes} MB")
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        sources = _prepare(directory, plan, leash, stack, file)
        for number in range(plan.download_rounds):
            say(f"downloads: round {number + 1} of {plan.download_rounds}")
            for source in sources:
                samples.add(source.name, _WHOLE, _measure(source, file, [None]), "MB/CPU s", _TARGET)
                samples.add(source.name, _RANGES, _measure(source, file, starts), "MB/CPU s", _TARGET)
    notes = ["Jobyard also authenticates and reads the file's row, once per request"]
    title = "Downloading: MB per CPU second of the front (medians)"
    return Part(title=title, figures=samples.figures(), rivals=[RIVAL], notes=notes)


def _measure(source: _Source, file: Path, starts: Sequence[int | None]) -> float:
    pid = source.front.running_front().pid
    busy = cpu_seconds(pid)
    outcome = source.get(starts)
    busy = cpu_seconds(pid) - busy
    if outcome.received != file.stat().st_size:
        raise TransferFailed(f"{source.name}: {outcome.received} bytes came")
    return outcome.received / MEGABYTE / busy


def _prepare(directory: Path, plan: Plan, leash: Leash, stack: ExitStack, file: Path) -> list[_Source]:
    guide = GuideFiles(directory / "guide", plan, leash, stack)
    (guide.uploads / file.name).hardlink_to(file)
    guide.start_front()
    jobyard = JobyardFiles(directory / "jobyard", plan, leash, stack)
    jobyard.start_front()
    jobyard.sign_in()
    stored = upload(jobyard.port, "/v1/files", {"Content-Type": "application/pdf"} | jobyard.headers, file)
    location = stored.json()["links"]["self"]
    sources = [
        _Source(RIVAL, guide, f"/download/{file.name}"),
        _Source(SUBJECT, jobyard, f"{location}/content"),
    ]
    # The first download of each imports and connects what it needs.
    for source in sources:
        source.get([None])
    return sources
