"""One run of the command: what it was asked for, where it writes, and the client that it works with."""

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from jobyard import AsyncJobyard, Job, Progress
from jobyard.client import DEFAULT_URL
from jobyard.command.credentials import credentials_file
from jobyard.command.exits import CommandFailed, ExitStatus
from jobyard.command.interrupts import interrupts
from jobyard.command.screen import Screen
from jobyard.command.sign_ins import StoredSignIn

T = TypeVar("T")
Work = Callable[[AsyncJobyard], Awaitable[T]]

# With growing pauses these take some seconds: a server may restart, and nobody sits before a dead one for long.
_RETRIES = 4


@dataclass(frozen=True, slots=True)
class Wishes:
    """Is what every command can be told."""

    url: str | None = None
    json: bool = False
    quiet: bool = False
    no_color: bool = False
    timeout: float | None = None


class Run:
    """Holds what the functions behind the commands need."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = wishes
        self.screen = Screen(json_wanted=wishes.json, quiet=wishes.quiet, colour=not wishes.no_color)
        self.credentials = credentials_file(os.environ)
        self.status = ExitStatus.DONE
        self.failures: list[Exception] = []
        self._followed: dict[str, Job] = {}
        self._uploads: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where Jobyard is: as this command says, else the environment, else where one signed in last."""
        asked = self.wishes.url or os.environ.get("JOBYARD_URL")
        return (asked or self.credentials.current_url() or DEFAULT_URL).rstrip("/")

    def perform(self, work: Work[T], *, signed_in: bool = True) -> T:
        """Let the client work, within the time that was given and until Ctrl-C; gives what the work gives."""
        try:
            return asyncio.run(self._perform(work, signed_in=signed_in))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def follow(self, job: Job) -> None:
        """Know of a job that this command waits for, so that an end before its end can name it."""
        if job.done:
            self._followed.pop(job.id, None)
        else:
            self._followed[job.id] = job

    def note_upload(self, text: str, progress: Progress) -> None:
        """Know of an upload that can be continued, until it is whole."""
        if progress.url is None:
            return
        if progress.completed == progress.total:
            self._uploads.pop(progress.url, None)
        else:
            self._uploads[progress.url] = text

    def fail(self, status: ExitStatus) -> None:
        """Let the command end with this status; of several the first one stays."""
        if self.status is ExitStatus.DONE:
            self.status = status

    def later(self, failure: Exception) -> None:
        """Keep a failure to be told at the end, when nothing moves on the screen any more."""
        self.failures.append(failure)

    def tell_what_goes_on(self) -> None:
        """Say what this command leaves behind, and how to see to it: jobs that go on, uploads that can."""
        if self.screen.json_wanted:
            self._show_what_goes_on()
            return
        for url, text in self._uploads.items():
            self.screen.warn(f"{text} is not whole; continue it: jobyard upload {shlex.quote(text)} --resume {url}")
        for job in self._followed.values():
            self.screen.warn(f"job {job.id} goes on; watch it: jobyard jobs watch {job.id}")

    def _show_what_goes_on(self) -> None:
        uploads = [{"file": text, "url": url} for url, text in self._uploads.items()]
        if uploads or self._followed:
            self.screen.error_document({"jobs": list(self._followed), "uploads": uploads})

    async def _perform(self, work: Work[T], *, signed_in: bool) -> T:
        limit = asyncio.timeout(self.wishes.timeout)
        try:
            with interrupts.cancelling():
                async with limit, self._client(signed_in=signed_in) as client:
                    return await work(client)
        except TimeoutError:
            if not limit.expired():
                raise
            detail = f"it was not done within {self.wishes.timeout:g} s"
            raise CommandFailed("Timed out", detail, code="timed_out", status=ExitStatus.TIMED_OUT) from None

    def _client(self, *, signed_in: bool) -> AsyncJobyard:
        token = os.environ.get("JOBYARD_TOKEN")
        if not signed_in or token:
            return AsyncJobyard(self.url, token=token, retries=_RETRIES)
        stored = StoredSignIn(self.credentials, self.url)
        if stored.refresh_token is None:
            raise CommandFailed(
                "Not signed in",
                f"there is no sign-in to {self.url}; make one with: jobyard login",
                code="not_signed_in",
                status=ExitStatus.REFUSED,
            )
        return AsyncJobyard(
            self.url,
            token=stored.access_token,
            refresh_token=stored.refresh_token,
            retries=_RETRIES,
            on_tokens=stored.keep,
            renewing=stored.renewing,
        )
