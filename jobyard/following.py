"""Following one job to its end: by its stream of events, else by long-polling, else by asking again and again.

What the server or a proxy between does not support is found out by trying. A server that is away is waited for; its
recorded states are never missed, since each way starts from the version that is known.
"""

import json
import time
from collections.abc import Callable
from http import HTTPStatus

from jobyard.errors import (
    AnswerNotValid,
    ConnectionFailed,
    InvalidInput,
    JobyardError,
    NotFound,
    ServerFailed,
    WaitTimeout,
)
from jobyard.exchange import ask, ask_open, read_as, segment
from jobyard.flows import Flow, Item, Opened, Query, Request, Stream, close, each, read_piece, sleep
from jobyard.models import Job
from jobyard.reading import read
from jobyard.retries import AWAY, LONGEST_RETRY_AFTER_SECONDS, pause, retry_after
from jobyard.session import Session
from jobyard.sse import EventReader, SentEvent

SILENCE_SECONDS = 45.0
"""A stream that is silent for so long is dead: the server sends a heartbeat every 15 s."""
FIRST_SECONDS = 10.0
"""The first event comes at once; if it does not come in this time, something between holds it back."""
LONGEST_POLL_SECONDS = 25
PATIENCE_SECONDS = 300.0
"""For so long a server may be away while a job is followed without a time limit."""

_STREAM_TRIES = 3
_SHORT_STREAM_SECONDS = 1.0
_SHORT_POLL_SECONDS = 1.0
_OF_THE_JOB = {"job_not_found", "invalid_input"}


class StreamNotUsable(Exception):
    """Ends the use of streams: there is none, or its events do not come through."""


class Followed:
    """Is a job that is followed, and the newest that is known of it."""

    def __init__(self, job_id: str, newest: Job | None, timeout: float | None) -> None:
        self.id = job_id
        self.newest = newest
        self._timeout = timeout
        self._ends = float("inf") if timeout is None else time.monotonic() + timeout
        self._answered = time.monotonic()
        self._failures = 0

    @property
    def version(self) -> int:
        """The version that is known; 0 for none."""
        return self.newest.version if self.newest else 0

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.newest is not None and self.newest.done

    def left(self) -> float:
        """Give how many seconds are left; raises `WaitTimeout` when none are."""
        left = self._ends - time.monotonic()
        if left <= 0:
            state = f"is {self.newest.state}" if self.newest else "is not known yet"
            raise WaitTimeout(f"After {self._timeout:g} s job {self.id} {state}.", self.newest)
        return left

    def take(self, job: Job) -> bool:
        """Take an answer in; True when it is news."""
        self.answered()
        if job.id != self.id or job.version <= self.version:
            return False
        self.newest = job
        return True

    def answered(self) -> None:
        """Note that the server is there."""
        self._answered = time.monotonic()
        self._failures = 0

    def rest(self, error: JobyardError) -> Flow[None]:
        """Pause after a failure; raises it when the server has been away for too long."""
        away = time.monotonic() - self._answered
        if self._timeout is None and (
            away > PATIENCE_SECONDS or (error.retry_after or 0.0) > LONGEST_RETRY_AFTER_SECONDS
        ):
            raise error
        seconds = pause(self._failures, error.retry_after)
        self._failures += 1
        yield from sleep(min(seconds, self.left()))


def wait(session: Session, job: Job | str, timeout: float | None, on_change: Callable[[Job], None] | None) -> Flow[Job]:
    """Follow a job to its end, showing each newer state; raises `WaitTimeout`."""
    known = job if isinstance(job, Job) else None
    followed = Followed(job.id if isinstance(job, Job) else job, known, timeout)
    yield from each(follow(session, followed), on_change or (lambda _: None))
    if followed.newest is None:
        raise AnswerNotValid("The server ended without a word of the job.")
    return followed.newest


def follow(session: Session, followed: Followed) -> Stream[Job]:
    """Give each newer state of a job until it is done."""
    if session.streams_work is not False:
        try:
            yield from _by_stream(session, followed)
        except StreamNotUsable:
            """Then by asking."""
    while not followed.done:
        yield from _by_asking(session, followed)


def open_stream(session: Session, path: str, query: Query, version: int, seconds: float) -> Flow[Opened]:
    """Open a stream of events after a version, silent for so many seconds at most; raises `StreamNotUsable`."""
    headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
    if version:
        headers["Last-Event-ID"] = str(version)
    request = Request(method="GET", path=path, query=query, headers=headers, read_seconds=seconds)
    try:
        opened = yield from ask_open(session, request, retries=0)
    except ConnectionFailed as error:
        if error.timed_out:
            give_up_streams(session, seconds, error)
        raise
    except (NotFound, InvalidInput, ServerFailed, AnswerNotValid) as error:
        if error.code in _OF_THE_JOB:
            raise
        session.streams_work = False
        raise StreamNotUsable from error
    if not opened.headers.get("Content-Type", "").startswith("text/event-stream"):
        session.streams_work = False
        yield from close(opened)
        raise StreamNotUsable
    return opened


def give_up_streams(session: Session, seconds: float, error: ConnectionFailed) -> None:
    """Raise `StreamNotUsable` if a stream was silent that should have begun, and none ever has."""
    if session.streams_work is None and seconds >= FIRST_SECONDS:
        session.streams_work = False
        raise StreamNotUsable from error


def job_of(event: SentEvent) -> Job | None:
    """Read an event's job; None when it tells of something else."""
    try:
        told = json.loads(event.data)
    except ValueError:
        return None
    return read(Job, told) if isinstance(told, dict) and "state" in told and "version" in told else None


def _by_stream(session: Session, followed: Followed) -> Stream[Job]:
    path, failures = f"/v1/jobs/{segment(followed.id)}/events", 0
    while not followed.done:
        seconds = min(SILENCE_SECONDS if session.streams_work else FIRST_SECONDS, followed.left())
        before = followed.version
        try:
            opened = yield from open_stream(session, path, (), followed.version, seconds)
            yield from _read_stream(session, opened, followed, seconds)
        except AWAY as error:
            failures = 0 if followed.version > before else failures + 1
            if failures >= _STREAM_TRIES:
                raise StreamNotUsable from error
            yield from followed.rest(error)


def _read_stream(session: Session, opened: Opened, followed: Followed, seconds: float) -> Stream[Job]:
    began, reader = time.monotonic(), EventReader()
    while True:
        try:
            piece = yield from read_piece(opened)
        except ConnectionFailed as error:
            if error.timed_out:
                give_up_streams(session, seconds, error)
            raise
        if piece is None:
            break
        followed.answered()
        for event in reader.feed(piece):
            if (job := job_of(event)) is not None:
                session.streams_work = True
                if followed.take(job):
                    yield Item(job)
        # A read may take `seconds`: near the end of the wait that is too long.
        if followed.done or seconds > followed.left() + 1:
            break
    yield from close(opened)
    if not followed.done and time.monotonic() - began < _SHORT_STREAM_SECONDS:
        # A server that stops, or a proxy that ends what it does not know: not in a tight circle.
        yield from sleep(min(pause(1), followed.left()))


def _by_asking(session: Session, followed: Followed) -> Stream[Job]:
    """Long-poll, or poll where that is cut off; from version to version."""
    longest = LONGEST_POLL_SECONDS
    while not followed.done:
        left = followed.left()
        wait = int(min(longest, left))
        began = time.monotonic()
        try:
            answer = yield from ask(session, _poll(session, followed, wait, left), retries=0)
        except AWAY as error:
            if wait and (error.status == HTTPStatus.GATEWAY_TIMEOUT or getattr(error, "timed_out", False)):
                longest //= 3
            yield from followed.rest(error)
            continue
        news = answer.status != HTTPStatus.NOT_MODIFIED and followed.take(read_as(Job, answer))
        followed.answered()
        if news and followed.newest is not None:
            yield Item(followed.newest)
        waited = time.monotonic() - began
        if not followed.done and waited < _SHORT_POLL_SECONDS and not (news and wait):
            yield from sleep(min(retry_after(answer.headers) or 1.0, followed.left()))


def _poll(session: Session, followed: Followed, wait: int, left: float) -> Request:
    headers: dict[str, str] = {}
    if followed.version:
        headers["If-None-Match"] = f'"{followed.version}"'
        if wait:
            headers["Prefer"] = f"wait={wait}"
    seconds = min(wait + session.timeout, left + 1)
    return Request(method="GET", path=f"/v1/jobs/{segment(followed.id)}", headers=headers, read_seconds=seconds)
