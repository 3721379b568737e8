"""`make demo`: a client that uploads photographs, sends an e-mail, builds an archive, and verifies what was made."""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from jobyard import Conflict, File, Job, Jobyard, JobyardError
from ops.demo_deliveries import FlowerClient, check_archive, check_mail, sha256_of
from ops.demo_failure import DemoFailed
from ops.demo_pictures import BOXES, Box, Original, check_rendition, read_originals
from ops.demo_screen import ReportProgress, Screen
from ops.endpoints import Endpoints
from ops.paths import ROOT

SAMPLES = ROOT / "jobyard" / "samples"
RECIPIENTS = ("ada@example.com", "grace@example.com")

_JOB_SECONDS = 60.0
_RETRIES = 2
"""Nothing is expected to fail here: a failure is told soon."""

Result = TypeVar("Result", bound=BaseModel)


class _Rendition(BaseModel):
    file_id: str
    width: int
    height: int


class _Resized(BaseModel):
    renditions: list[_Rendition]


class _Archived(BaseModel):
    file_id: str


@dataclass(frozen=True)
class Output:
    """Is a downloaded file and what the API says about it."""

    file: File
    path: Path


@dataclass(frozen=True)
class Made:
    """Is a downloaded rendition: of what, ordered how, and the size that its job's result tells."""

    original: Original
    box: Box
    output: Output
    size: tuple[int, int]


def main(endpoints: Endpoints) -> int:
    """Run the demonstration against a running Jobyard and return the exit status; a failure is one line."""
    screen = Screen()
    try:
        with Jobyard(endpoints.api_url, retries=_RETRIES) as client:
            Demonstration(endpoints, client, screen).run()
    except (DemoFailed, JobyardError) as failure:
        return _fail(endpoints, str(failure))
    return 0


def _read_result(model: type[Result], job: Job) -> Result:
    try:
        return model.model_validate(job.result)
    except ValidationError as error:
        raise DemoFailed(f"{job.kind} job {job.id} gave a result that is none: {error.errors()[0]['loc']}") from error


def _fail(endpoints: Endpoints, reason: str) -> int:
    print(f"jobyard: the demonstration failed: {reason} (logs: {endpoints.log_dir})", file=sys.stderr)
    return 1


class Demonstration:
    """Is one run; what it downloads goes to a directory of its own."""

    def __init__(self, endpoints: Endpoints, client: Jobyard, screen: Screen) -> None:
        self._endpoints = endpoints
        self._client = client
        self._screen = screen
        self._name = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
        self._directory = Path(endpoints.log_dir).parent / "demo" / self._name
        self._flower = FlowerClient(endpoints.flower_url, endpoints.flower_user, endpoints.flower_password)
        self._kinds: dict[str, str] = {}

    def run(self) -> None:
        """Do everything. Raises DemoFailed, JobyardError."""
        began = time.monotonic()
        originals = read_originals(SAMPLES)
        self._directory.mkdir(parents=True)
        self._screen.heading(f"A client of {self._endpoints.api_url}")
        self._prepare()
        made = self._resize(originals)
        outputs = [rendition.output for rendition in made]
        subject = f"Jobyard demo {self._name}"
        self._send_email(subject, outputs[0])
        archive = self._archive(outputs)
        self._screen.heading("Verified")
        self._verify_pictures(made)
        mail = self._verify_mail(subject, outputs[0])
        self._verify_archive(archive, outputs)
        self._verify_tasks()
        self._screen.heading("Made")
        self._show_table(made)
        self._show_places(archive, mail)
        self._screen.heading(f"All of it is right; the demonstration took {time.monotonic() - began:.1f} s.")

    def _prepare(self) -> None:
        with self._screen.step("signing in") as done:
            account = self._endpoints.login_email, self._endpoints.login_password
            with suppress(Conflict):
                self._client.register(*account)
            self._client.login(*account)
            done.append(f"signed in as {self._endpoints.login_email}")
        with self._screen.step("waiting until Flower hears from the worker") as done:
            done.append(f"Flower watches {self._flower.wait_for_worker()}")

    def _resize(self, originals: Sequence[Original]) -> list[Made]:
        began = time.monotonic()
        pool = ThreadPoolExecutor(len(originals))
        with self._screen.progress([original.path.name for original in originals]) as reports:
            try:
                made = [each for all_of_one in pool.map(self._resize_one, originals, reports) for each in all_of_one]
            finally:
                # Not waited for after a Ctrl-C: what still waits for an answer ends when the API stops.
                pool.shutdown(wait=False, cancel_futures=True)
        seconds = time.monotonic() - began
        self._screen.tick(f"{len(originals)} photographs uploaded, {len(made)} renditions made and downloaded", seconds)
        return made

    def _resize_one(self, original: Original, report: ReportProgress) -> list[Made]:
        report(0, None, "uploading")
        job = self._follow(self._client.images.resize(original.path, BOXES), report)
        renditions = _read_result(_Resized, job).renditions
        if len(renditions) != len(BOXES):
            raise DemoFailed(f"{original.path.name} has {len(renditions)} renditions, not {len(BOXES)}")
        return [
            Made(original, box, self._download(rendition.file_id), (rendition.width, rendition.height))
            for box, rendition in zip(BOXES, renditions, strict=True)
        ]

    def _send_email(self, subject: str, attachment: Output) -> None:
        receivers = " and ".join(RECIPIENTS)
        with self._screen.step(f"sending an e-mail to {receivers}") as done:
            text = "Attached is a photograph that Jobyard has resized."
            email = self._client.emails.send(RECIPIENTS, subject, text, attachments=[attachment.file])
            job_id = email.job_id or ""
            self._kinds[job_id] = "mail.send"
            self._client.jobs.wait(job_id, _JOB_SECONDS, check=True)
            for recipient in self._client.emails.get(email).recipients:
                if recipient.state != "sent":
                    raise DemoFailed(f"the e-mail to {recipient.address} is {recipient.state}")
            done.append(f"e-mail with {attachment.file.name} sent to {receivers}")

    def _archive(self, outputs: Sequence[Output]) -> Output:
        began = time.monotonic()
        with self._screen.progress(["archive.zip"]) as (report,):
            job = self._follow(self._client.archives.create([output.file for output in outputs]), report)
            archive = self._download(_read_result(_Archived, job).file_id)
        self._screen.tick(f"{len(outputs)} files packed and downloaded", time.monotonic() - began)
        return archive

    def _follow(self, job: Job, report: ReportProgress) -> Job:
        self._kinds[job.id] = job.kind

        def show(newer: Job) -> None:
            progress = newer.progress
            report(progress.completed or 0, progress.total, newer.state if newer.done else progress.message)

        return self._client.jobs.wait(job, _JOB_SECONDS, show, check=True)

    def _download(self, file_id: str) -> Output:
        file = self._client.files.download(file_id, self._directory)
        path = self._directory / Path(file.name).name
        if (path.stat().st_size, sha256_of(path)) != (file.size, file.sha256):
            raise DemoFailed(f"{path} is not what the API says: {file.size} bytes with SHA-256 {file.sha256}")
        return Output(file, path)

    def _verify_pictures(self, made: Sequence[Made]) -> None:
        for each in made:
            check_rendition(each.original, each.box, each.output.path, each.size)
        turned = {each.original.path.name for each in made if each.original.orientation != 1}
        clear = {each.original.path.name for each in made if each.original.has_alpha}
        self._screen.tick("every rendition fits its box, has its photograph's proportions and pixels, and no metadata")
        self._screen.tick(f"upright in spite of its EXIF orientation: {', '.join(sorted(turned))}")
        self._screen.tick(f"still transparent as WebP and PNG: {', '.join(sorted(clear))}")

    def _verify_mail(self, subject: str, attachment: Output) -> str:
        if not self._endpoints.mailbox_dir:
            self._screen.tick(f"the mail was taken by {self._endpoints.smtp_url}; what it did with it is not seen here")
            return self._endpoints.smtp_url
        path = check_mail(Path(self._endpoints.mailbox_dir), subject, RECIPIENTS, attachment.path)
        self._screen.tick(f"the mail has reached {len(RECIPIENTS)} recipients, its attachment whole")
        return f"{path} (in a Maildir)"

    def _verify_archive(self, archive: Output, outputs: Sequence[Output]) -> None:
        count = check_archive(archive.path, [output.path for output in outputs])
        self._screen.tick(f"the ZIP is sound, and its {count} members are the {len(outputs)} renditions")

    def _verify_tasks(self) -> None:
        with self._screen.step("asking Flower") as done:
            counts = self._flower.wait_for_success(self._kinds)
            shown = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
            done.append(f"Flower shows them all as SUCCESS: {shown}")

    def _show_table(self, made: Sequence[Made]) -> None:
        rows = [
            (
                each.output.path.name,
                f"{each.box['width']} x {each.box['height']} {each.box['format']}",
                f"{each.size[0]} x {each.size[1]}",
                f"{each.output.file.size:,}",
            )
            for each in made
        ]
        self._screen.table(["rendition", "box", "size ", "bytes "], rows)

    def _show_places(self, archive: Output, mail: str) -> None:
        endpoints = self._endpoints
        flower = f"{endpoints.flower_url} ({endpoints.flower_user} / {endpoints.flower_password}), while Jobyard runs"
        self._screen.places(
            [("outputs", self._directory), ("archive", archive.path), ("mail", mail), ("Flower", flower)]
        )
