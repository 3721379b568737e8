"""A client of the API, as anybody could write one: HTTP, ETags and `Prefer: wait`, nothing of the inside."""

import json
import time
from collections.abc import Callable, Container, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, Self, TypeVar
from uuid import UUID

import httpx2
from pydantic import BaseModel, ValidationError

from shared.schemas import Job

_REQUEST_SECONDS = 40.0  # longer than the longest wait that the API grants
_WAIT_SECONDS = 20
_JOB_SECONDS = 60.0

Answer = TypeVar("Answer", bound=BaseModel)


class DemoFailed(RuntimeError):
    """Something is not as the demonstration expects; the message is one line."""


class StoredFile(BaseModel):
    """Is what this client wants to know of a file."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: str


class Recipient(BaseModel):
    """Is what this client wants to know of one who gets an e-mail."""

    address: str
    state: str


class SentEmail(BaseModel):
    """Is what this client wants to know of an e-mail."""

    id: UUID
    job_id: UUID
    recipients: list[Recipient]


class _Tokens(BaseModel):
    access_token: str


class JobyardClient:
    """Makes the requests. Its methods raise DemoFailed for an unwelcome answer, and httpx2.RequestError for none."""

    def __init__(self, api_url: str) -> None:
        self._http = httpx2.Client(base_url=api_url, timeout=_REQUEST_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, email: str, password: str) -> None:
        """Sign in, as a new user where there is none with this address yet."""
        credentials = {"email": email, "password": password}
        self._request(
            "POST",
            "/v1/auth/register",
            json=credentials,
            accept=(201, 409),
        )
        tokens = _read(_Tokens, self._request("POST", "/v1/auth/login", json=credentials))
        self._http.headers["Authorization"] = f"Bearer {tokens.access_token}"

    def resize(self, picture: Path, renditions: Sequence[Mapping[str, str | int]]) -> Job:
        """Upload a picture and order its renditions, in one request."""
        with picture.open("rb") as stream:
            answer = self._request(
                "POST",
                "/v1/images",
                files={"file": (picture.name, stream)},
                form={"renditions": json.dumps(renditions)},
                accept=(202,),
            )
        return _read(Job, answer)

    def send_email(self, message: Mapping[str, object]) -> SentEmail:
        """Order an e-mail."""
        return _read(SentEmail, self._request("POST", "/v1/emails", json=message, accept=(202,)))

    def email(self, email_id: UUID) -> SentEmail:
        """Read an e-mail."""
        return _read(SentEmail, self._request("GET", f"/v1/emails/{email_id}"))

    def enqueue(self, kind: str, job_input: Mapping[str, object]) -> Job:
        """Order a job."""
        body = {"kind": kind, "input": job_input}
        return _read(Job, self._request("POST", "/v1/jobs", json=body, accept=(202,)))

    def finish(self, job_id: UUID, on_change: Callable[[Job], None] = lambda _: None) -> Job:
        """Follow a job from version to version until it has succeeded; each request waits for the next version."""
        deadline = time.monotonic() + _JOB_SECONDS
        headers: dict[str, str] = {}
        job: Job | None = None
        while time.monotonic() < deadline:
            answer = self._request(
                "GET",
                f"/v1/jobs/{job_id}",
                headers=headers,
                accept=(200, 304),
            )
            # The first answer comes at once; with its ETag the next ones wait.
            headers = {"If-None-Match": answer.headers["ETag"], "Prefer": f"wait={_WAIT_SECONDS}"}
            if answer.status_code == HTTPStatus.NOT_MODIFIED:
                continue
            job = _read(Job, answer)
            on_change(job)
            if job.done:
                return _succeeded(job)
        raise DemoFailed(f"after {_JOB_SECONDS:.0f} s {_describe(job) if job else f'nothing is known of job {job_id}'}")

    def file(self, file_id: UUID) -> StoredFile:
        """Read what is known about a file."""
        return _read(StoredFile, self._request("GET", f"/v1/files/{file_id}"))

    def download(self, file_id: UUID, target: Path) -> None:
        """Write a file's content to `target`."""
        with self._http.stream("GET", f"/v1/files/{file_id}/content") as answer:
            if answer.status_code != HTTPStatus.OK:
                answer.read()
            _check(answer, (200,))
            with target.open("wb") as stream:
                for chunk in answer.iter_bytes():
                    stream.write(chunk)

    def _request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        files: dict[str, tuple[str, BinaryIO]] | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Container[int] = (200,),
    ) -> httpx2.Response:
        answer = self._http.request(method, path, json=json, files=files, data=form, headers=headers)
        return _check(answer, accept)


def read_result(model: type[Answer], job: Job) -> Answer:
    """Read what a job has given. Raises DemoFailed."""
    try:
        return model.model_validate(job.result)
    except ValidationError as error:
        raise DemoFailed(f"{job.kind} job {job.id} gave a result {_complain(error)}") from error


def _check(answer: httpx2.Response, accept: Container[int]) -> httpx2.Response:
    if answer.status_code in accept:
        return answer
    request = answer.request
    said = " ".join(answer.text.split())[:500]
    raise DemoFailed(f"{request.method} {request.url.path} answered {answer.status_code}: {said}")


def _read(model: type[Answer], answer: httpx2.Response) -> Answer:
    try:
        return model.model_validate_json(answer.content)
    except ValidationError as error:
        raise DemoFailed(f"{answer.request.url.path} answered {_complain(error)}") from error


def _complain(error: ValidationError) -> str:
    places = (".".join(map(str, part["loc"])) for part in error.errors())
    return f"without a good {' or '.join(places)}"


def _succeeded(job: Job) -> Job:
    if job.error is not None:
        raise DemoFailed(_describe(job))
    return job


def _describe(job: Job) -> str:
    reason = job.error or job.last_error
    why = f": {reason.code}: {reason.detail}" if reason else ""
    return f"{job.kind} job {job.id} is {job.state}{why}"
