"""Uploads: in one request, or by tus 1.0 in pieces that survive lost connections and dead programs."""

import base64
from collections.abc import Callable, Generator
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from jobyard.contents import Form, Meter, Source
from jobyard.errors import AnswerNotValid, Conflict, JobyardError, UploadInterrupted
from jobyard.exchange import ask, get, query_of, read_as, segment
from jobyard.flows import Answer, Body, Flow, Query, Request
from jobyard.models import File, Progress, Upload
from jobyard.retries import AWAY, rest, with_key
from jobyard.session import Session

PIECE_BYTES = 16 * 1024 * 1024
"""As much as the server stores at once; also what a proxy may have to buffer."""
RESUMABLE_BYTES = 8 * 1024 * 1024
"""What is larger is uploaded in pieces, unless it is asked for otherwise."""
_FINISH_SECONDS = 120.0
"""After the last piece the server puts the file together, which may take it so long."""

_PATH = "/v1/uploads"
_TUS = {"Tus-Resumable": "1.0.0"}

OnProgress = Callable[[Progress], None]


def kept_for(expires_in: int | None) -> list[tuple[str, str]]:
    """Say in a query for how many seconds a file is kept."""
    return query_of(expires_in=None if expires_in is None else str(expires_in))


def upload_whole(
    session: Session,
    source: Source,
    description: str | None,
    query: Query,
    key: str | None,
    on_progress: OnProgress | None,
) -> Flow[Answer]:
    """Upload in one request, streamed; gives the answer, which may have a job in it."""
    texts = {} if description is None else {"description": description}
    return (yield from post_form(session, "/v1/files", Form([source], texts), query, key, on_progress))


def post_form(
    session: Session, path: str, form: Form, query: Query, key: str | None, on_progress: OnProgress | None
) -> Flow[Answer]:
    """Post a form, streamed."""
    body, media_type = form.body(on_progress)
    request = Request(
        method="POST",
        path=path,
        query=query,
        headers={"Content-Type": media_type},
        body=body,
        read_seconds=max(session.timeout, _FINISH_SECONDS),
    )
    return (yield from ask(session, with_key(request, key)))


def begin_upload(
    session: Session, source: Source, description: str | None, query: Query, key: str | None = None
) -> Flow[Upload]:
    """Begin a resumable upload, or give the one that was begun with this key; nothing is sent of the content."""
    size = upload_size(source)
    told = {"filename": source.name} | ({} if description is None else {"description": description})
    metadata = ",".join(f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in told.items())
    headers = _TUS | {"Upload-Length": str(size), "Upload-Metadata": metadata}
    request = Request(method="POST", path=_PATH, query=query, headers=headers)
    answer = yield from ask(session, with_key(request, key))
    name = answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
    if not name:
        raise AnswerNotValid("The server began an upload and did not say where.")
    url = f"{session.base_url}{_PATH}/{name}"
    if "Idempotency-Replayed" in answer.headers:
        # It was begun before, and may be further by now, or finished.
        return (yield from read_upload(session, url))
    return _upload_of(url, size, answer)


def read_upload(session: Session, url: str) -> Flow[Upload]:
    """Ask how much of an upload the server has."""
    request = Request(
        method="HEAD", path=path_of(session, url), headers=_TUS, read_seconds=max(session.timeout, _FINISH_SECONDS)
    )
    answer = yield from ask(session, request)
    return _upload_of(url, _number(answer, "Upload-Length"), answer)


def end_upload(session: Session, url: str) -> Flow[None]:
    """Give an upload up."""
    yield from ask(session, Request(method="DELETE", path=path_of(session, url), headers=_TUS))


def path_of(session: Session, url: str) -> str:
    """Give the path of an upload's URL; raises `ValueError` when that is not of this server: the token stays here."""
    start, slash, name = url.rpartition("/")
    if slash and start not in {_PATH, session.base_url + _PATH}:
        raise ValueError(f"{url} is no upload of {session.base_url}")
    return f"{_PATH}/{segment(name)}"


def send_rest(session: Session, source: Source, upload: Upload, on_progress: OnProgress | None) -> Flow[File]:
    """Send what the server does not have yet, and give the file.

    After whatever goes wrong the server is asked how far it is. Raises `UploadInterrupted` when it gets no further.
    """
    if source.size != upload.size:
        raise ValueError(f"{source.name} has {source.size} bytes, but the upload is of {upload.size}")
    path = path_of(session, upload.url)
    try:
        yield from _send_pieces(session, source, upload, path, Meter(on_progress, upload.size, upload.url))
    except AWAY as error:
        raise UploadInterrupted(f"The upload broke off: {error}", url=upload.url) from error
    return read_as(File, (yield from get(session, f"/v1/files/{path.rpartition('/')[2]}")))


def _send_pieces(session: Session, source: Source, upload: Upload, path: str, meter: Meter) -> Flow[None]:
    offset, failures = upload.offset, 0
    meter.begin(offset)
    meter.add(0)
    while offset < upload.size:
        try:
            offset = yield from _send_piece(session, source, offset, path, meter)
            failures = 0
            continue
        except (*AWAY, Conflict) as error:
            if not _may_go_on(error) or failures >= session.retries:
                raise
            yield from rest(error, failures)
        there = (yield from read_upload(session, upload.url)).offset
        failures = 0 if there > offset else failures + 1
        offset = there


def _send_piece(session: Session, source: Source, offset: int, path: str, meter: Meter) -> Flow[int]:
    length = min(PIECE_BYTES, upload_size(source) - offset)

    def blocks() -> Generator[bytes]:
        meter.begin(offset)
        yield from source.blocks(offset, length)

    request = Request(
        method="PATCH",
        path=path,
        headers=_TUS | {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"},
        body=Body(blocks, length, meter.add),
        read_seconds=max(session.timeout, _FINISH_SECONDS),
        repeatable=False,
    )
    answer = yield from ask(session, request, retries=0)
    return _number(answer, "Upload-Offset")


def upload_size(source: Source) -> int:
    """Give how long a source is; raises `ValueError` when nobody knows, for then its upload cannot be resumed."""
    if source.size is None:
        raise ValueError(f"{source.name} can only be read once, so its upload cannot be resumed")
    return source.size


def _may_go_on(error: JobyardError) -> bool:
    return not isinstance(error, Conflict) or error.status == HTTPStatus.LOCKED or error.code == "offset_mismatch"


def _number(answer: Answer, header: str) -> int:
    try:
        return int(answer.headers.get(header, ""))
    except ValueError:
        raise AnswerNotValid(f"The server answered an upload without {header}.") from None


def _upload_of(url: str, size: int, answer: Answer) -> Upload:
    expires = answer.headers.get("Upload-Expires")
    offset = int(answer.headers.get("Upload-Offset", "0"))
    return Upload(url=url, size=size, offset=offset, expires_at=parsedate_to_datetime(expires) if expires else None)
