"""`client.files`: upload, download, list, change, delete, link."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from jobyard.calls import R, Resource, call, stream
from jobyard.contents import Content, Form, Source
from jobyard.downloads import download
from jobyard.errors import InvalidInput, TooLarge
from jobyard.exchange import Id, delete, get, given, pages, patch, post, query_of, read_as, read_json, segment
from jobyard.flows import Flow, Stream
from jobyard.models import File, FileAndJob, FileBatch, Link, Progress, Upload
from jobyard.reading import read
from jobyard.uploads import (
    RESUMABLE_BYTES,
    begin_upload,
    end_upload,
    kept_for,
    post_form,
    read_upload,
    send_rest,
    upload_whole,
)

AnyFile = File | Id
"""A file, or its id."""


def id_of(file: AnyFile) -> str:
    """Give the id of a file."""
    return file.id if isinstance(file, File) else str(file)


class Files(Resource[R]):
    """Is the files of the account."""

    @call
    def upload(
        self,
        content: Content,
        *,
        name: str | None = None,
        description: str | None = None,
        expires_in: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        resumable: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[File]:
        """Store a file: a path, bytes, or a file that is open for reading bytes. It is streamed, never whole in memory.

        What is larger than 8 MiB goes in pieces that survive lost connections, as does all with `resumable=True`; if
        that breaks off for good, `UploadInterrupted` has the URL for `resume_upload`. `expires_in` is in seconds.
        """
        source = Source(content, name)
        query = kept_for(expires_in)
        if not _in_pieces(source, resumable=resumable):
            answer = yield from upload_whole(self.session, source, description, query, idempotency_key, on_progress)
            return read_as(File, answer)
        upload = yield from begin_upload(self.session, source, description, query, idempotency_key)
        return (yield from send_rest(self.session, source, upload, on_progress))

    @call
    def upload_with_job(
        self,
        content: Content,
        kind: str,
        *,
        name: str | None = None,
        description: str | None = None,
        expires_in: int | None = None,
        webhook_url: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        resumable: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[FileAndJob]:
        """Store a file and enqueue a job for it, of a kind that needs no more than its `file_id`: both, or neither.

        Otherwise as `upload`. What goes in pieces is a file before its job is enqueued: it is deleted again if that is
        refused, and stays if the server is not reached any more. Raises `InvalidInput`, `TooLarge`.
        """
        source, query = Source(content, name), kept_for(expires_in)
        if not _in_pieces(source, resumable=resumable):
            query += query_of(process=kind, webhook_url=webhook_url)
            answer = yield from upload_whole(self.session, source, description, query, idempotency_key, on_progress)
            return read_as(FileAndJob, answer)
        upload = yield from begin_upload(self.session, source, description, query, idempotency_key)
        file = yield from send_rest(self.session, source, upload, on_progress)
        body = given(kind=kind, input={"file_id": file.id}, webhook_url=webhook_url)
        try:
            answer = yield from post(self.session, "/v1/jobs", body, key=idempotency_key)
        except (InvalidInput, TooLarge):
            yield from delete(self.session, _path(file))
            raise
        return read(FileAndJob, {"file": file.raw, "job": read_json(answer)})

    @call
    def upload_many(
        self,
        contents: Sequence[Content] | Mapping[str, Content],
        *,
        expires_in: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[FileBatch]:
        """Store up to ten files in one request: contents as `upload` takes them, or a mapping of names to contents.

        What is wrong with one is said in its place, and the others are stored; raises `InvalidInput` when none could.
        `on_progress` is told of all together.
        """
        pairs = contents.items() if isinstance(contents, Mapping) else [(None, content) for content in contents]
        form = Form([Source(content, name) for name, content in pairs], part="files")
        query = kept_for(expires_in)
        answer = yield from post_form(self.session, "/v1/files/batch", form, query, idempotency_key, on_progress)
        return read_as(FileBatch, answer)

    @call
    def begin_upload(
        self,
        content: Content,
        *,
        name: str | None = None,
        description: str | None = None,
        expires_in: int | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Upload]:
        """Begin a resumable upload without sending anything: keep its `url`, then give it to `resume_upload`."""
        source = Source(content, name)
        return (yield from begin_upload(self.session, source, description, kept_for(expires_in), idempotency_key))

    @call
    def resume_upload(
        self, url: str, content: Content, *, on_progress: Callable[[Progress], None] | None = None
    ) -> Flow[File]:
        """Send what the server does not have yet of an upload, begun by whatever program; the content must be the same.

        Raises `NotFound` when the upload is not, or no longer, there, and `UploadInterrupted` when it breaks off.
        """
        upload = yield from read_upload(self.session, url)
        return (yield from send_rest(self.session, Source(content), upload, on_progress))

    @call
    def upload_status(self, url: str) -> Flow[Upload]:
        """Ask how much of a resumable upload the server has; raises `NotFound`."""
        return (yield from read_upload(self.session, url))

    @call
    def cancel_upload(self, url: str) -> Flow[None]:
        """Give a resumable upload up; raises `NotFound`, and `Conflict` when it is a file by now."""
        yield from end_upload(self.session, url)

    @call
    def get(self, file: AnyFile) -> Flow[File]:
        """Read what is known of a file; raises `NotFound`."""
        return read_as(File, (yield from get(self.session, _path(file))))

    @stream
    def list(self, *, limit: int | None = None) -> Stream[File]:
        """List files, newest first, page after page."""
        yield from pages(self.session, "/v1/files", File, limit=limit)

    @call
    def download(
        self, file: AnyFile, to: str | Path | BinaryIO, on_progress: Callable[[Progress], None] | None = None
    ) -> Flow[File]:
        """Write a file's content to a path, a directory (under the file's name) or an open file; gives the file.

        It is written beside the path and put there when it is whole: nothing half is ever seen. A broken connection is
        continued. Raises `ContentMismatch` if the SHA-256 is not what the server says, `NotFound`, `OSError`.
        """
        return (yield from download(self.session, id_of(file), to, on_progress))

    @call
    def change(
        self,
        file: AnyFile,
        *,
        name: str | None = None,
        description: str | None = None,
        expires_at: datetime | None = None,
        expires_in: int | None = None,
    ) -> Flow[File]:
        """Change a file's name or description, or when it is deleted; what is None stays."""
        body = given(name=name, description=description, expires_at=expires_at, expires_in=expires_in)
        return read_as(File, (yield from patch(self.session, _path(file), body)))

    @call
    def delete(self, file: AnyFile) -> Flow[None]:
        """Delete a file; raises `Conflict` when a job that is not done needs it, `NotFound`."""
        yield from delete(self.session, _path(file))

    @call
    def link(self, file: AnyFile, *, expires_in: int = 3600, inline: bool = False) -> Flow[Link]:
        """Make a URL that reads a file without a token for so many seconds; it cannot be taken back by itself."""
        body = {"expires_in": expires_in, "disposition": "inline" if inline else "attachment"}
        return read_as(Link, (yield from post(self.session, f"{_path(file)}/link", body)))


def _in_pieces(source: Source, *, resumable: bool | None) -> bool:
    return source.size is not None and source.size > RESUMABLE_BYTES if resumable is None else resumable


def _path(file: AnyFile) -> str:
    return f"/v1/files/{segment(id_of(file))}"
