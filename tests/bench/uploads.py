"""Uploads of one large file: what they cost the server in CPU time and in memory."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ops.leash import Leash
from tests.bench.beside_guide import say
from tests.bench.figures import Figure, Samples
from tests.bench.file_fronts import GuideFiles, JobyardFiles, content_file
from tests.bench.memory import PeakMemory
from tests.bench.plan import Plan
from tests.bench.programs import cpu_seconds
from tests.bench.report import Part
from tests.bench.transfers import upload

READ, CHUNKS, SUBJECT = "read()", "UploadFile", "jobyard"
_BOUNDARY = "the-end-of-a-part-of-the-benchmark"
_PART_HEAD = [
    f"--{_BOUNDARY}",
    'Content-Disposition: form-data; name="file"; filename="scan.pdf"',
    "Content-Type: application/pdf",
]
_FORM = "\r\n".join([*_PART_HEAD, "", ""]), f"\r\n--{_BOUNDARY}--\r\n"
_FORM_HEADERS = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
_RAW_HEADERS = {"Content-Type": "application/pdf", "Content-Disposition": 'attachment; filename="scan.pdf"'}
_AS_FORM, _AS_BODY = "a form with one file", "the body itself (the rivals: the form)"
_FAST, _SMALL = "target ≥ 2", "target < 60 MB"


@dataclass(frozen=True)
class _Way:
    name: str
    front: GuideFiles | JobyardFiles
    path: str
    sections: tuple[str, ...] = (_AS_FORM, _AS_BODY)
    form: bool = True

    def send(self, file: Path) -> None:
        headers = (_FORM_HEADERS if self.form else _RAW_HEADERS) | self.front.headers
        upload(self.front.port, self.path, headers, file, _FORM if self.form else ("", ""))


def measure_uploads(directory: Path, plan: Plan) -> Part:
    """Upload in each way by turns, each time to a front that has just been started."""
    file, small = content_file(plan.upload_megabytes), content_file(1)
    samples = {section: Samples(section) for section in (_AS_FORM, _AS_BODY)}
    with ExitStack() as stack:
        leash = stack.enter_context(Leash())
        guide = GuideFiles(directory / "guide", plan, leash, stack)
        jobyard = JobyardFiles(directory / "jobyard", plan, leash, stack)
        jobyard.prepare()
        ways = [
            _Way(READ, guide, "/upload"),
            _Way(CHUNKS, guide, "/upload-in-chunks"),
            _Way(SUBJECT, jobyard, "/v1/files", (_AS_FORM,)),
            _Way(SUBJECT, jobyard, "/v1/files", (_AS_BODY,), form=False),
        ]
        for number in range(plan.upload_rounds):
            say(f"uploads: round {number + 1} of {plan.upload_rounds}")
            for way in ways:
                measured = _measure(way, file, small)
                for section in way.sections:
                    _add(samples[section], way.name, plan.upload_megabytes, measured)
    figures: list[Figure] = [figure for each in samples.values() for figure in each.figures()]
    notes = ["Jobyard also authenticates, sniffs, hashes (SHA-256), writes rows, and answers after fsync"]
    title = f"Uploading {plan.upload_megabytes:,} MB to a front that was just started (medians)"
    return Part(title=title, figures=figures, rivals=[READ, CHUNKS], notes=notes)


def _measure(way: _Way, file: Path, small: Path) -> tuple[float, float | None]:
    way.front.start_front()
    front = way.front.running_front()
    # What is imported late is no part of an upload's memory.
    way.send(small)
    memory, busy = PeakMemory(front.pid), cpu_seconds(front.pid)
    way.send(file)
    measured = cpu_seconds(front.pid) - busy, memory.growth()
    way.front.forget()
    way.front.stop_front()
    return measured


def _add(samples: Samples, name: str, megabytes: int, measured: tuple[float, float | None]) -> None:
    busy, grown = measured
    samples.add(name, "MB per CPU second of the front", megabytes / busy, "MB/s", _FAST)
    samples.add(name, "CPU of the front", busy, "s")
    if grown is not None:
        samples.add(name, "memory, at most beyond its start", grown, "MB", _SMALL)
