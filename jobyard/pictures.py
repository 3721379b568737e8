"""`client.images`, its presets, and `client.archives`: jobs that make files of files."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from jobyard.calls import R, Resource, call, stream
from jobyard.contents import Content, Form, Source
from jobyard.exchange import delete, get, given, pages, post, put, read_as, segment
from jobyard.files import AnyFile, id_of
from jobyard.flows import Flow, Stream
from jobyard.models import File, ImagePreset, Job, Progress
from jobyard.uploads import RESUMABLE_BYTES, begin_upload, kept_for, post_form, send_rest

Picture = File | UUID | str | Path | bytes | BinaryIO
"""A stored file or its id (a text that is a UUID), else what is uploaded first: a path, bytes or an open file."""

_PATH = "/v1/images"


class Images(Resource[R]):
    """Makes renditions of pictures."""

    @call
    def resize(
        self,
        picture: Picture,
        renditions: Sequence[Mapping[str, Any]] | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        fit: str | None = None,
        format: str | None = None,  # noqa: A002 - the server's word
        quality: int | None = None,
        preset: str | None = None,
        keep_copyright: bool | None = None,
        webhook_url: str | None = None,
        name: str | None = None,
        expires_in: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Enqueue renditions of a picture: a list of them, a preset by its name, or one by width, height and so on.

        A picture that is not stored yet is uploaded with the order, as `files.upload` does. The job's result names each
        rendition's `file_id`, for `files.download`.
        """
        one = given(width=width, height=height, fit=fit, format=format, quality=quality)
        if sum((renditions is not None, preset is not None, bool(one))) != 1:
            raise ValueError("give one of: renditions, a preset, or the width, height and so on of one rendition")
        wanted = renditions if renditions is not None else [one] if one else None
        order = given(renditions=wanted, preset=preset, keep_copyright=keep_copyright, webhook_url=webhook_url)
        file_id = _stored_id(picture)
        if file_id is None:
            source, query = Source(_content(picture), name), kept_for(expires_in)
            if source.size is None or source.size <= RESUMABLE_BYTES:
                texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in order.items()}
                form = Form([source], texts)
                answer = yield from post_form(self.session, _PATH, form, query, idempotency_key, on_progress)
                return read_as(Job, answer)
            upload = yield from begin_upload(self.session, source, None, query)
            file_id = (yield from send_rest(self.session, source, upload, on_progress)).id
        order["file_id"] = file_id
        return read_as(Job, (yield from post(self.session, _PATH, order, key=idempotency_key)))


class ImagePresets(Resource[R]):
    """Is the account's lists of renditions, for `images.resize(…, preset=name)`."""

    @call
    def put(self, name: str, renditions: Sequence[Mapping[str, Any]]) -> Flow[ImagePreset]:
        """Make a preset, or replace its renditions; jobs that were enqueued before keep theirs. Raises `Conflict`."""
        return read_as(ImagePreset, (yield from put(self.session, _preset_path(name), {"renditions": renditions})))

    @call
    def get(self, name: str) -> Flow[ImagePreset]:
        """Read a preset; raises `NotFound`."""
        return read_as(ImagePreset, (yield from get(self.session, _preset_path(name))))

    @stream
    def list(self, *, limit: int | None = None) -> Stream[ImagePreset]:
        """List presets by name, page after page."""
        yield from pages(self.session, "/v1/image-presets", ImagePreset, limit=limit)

    @call
    def delete(self, name: str) -> Flow[None]:
        """Delete a preset; raises `NotFound`."""
        yield from delete(self.session, _preset_path(name))


class Archives(Resource[R]):
    """Packs files."""

    @call
    def create(
        self,
        files: Sequence[AnyFile],
        name: str = "archive.zip",
        *,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Flow[Job]:
        """Enqueue a ZIP archive of stored files; the job's result names its `file_id`."""
        body = given(
            kind="archive.create",
            input={"file_ids": [id_of(file) for file in files], "name": name},
            webhook_url=webhook_url,
        )
        return read_as(Job, (yield from post(self.session, "/v1/jobs", body, key=idempotency_key)))


def _preset_path(name: str) -> str:
    return f"/v1/image-presets/{segment(name)}"


def _stored_id(picture: Picture) -> str | None:
    if isinstance(picture, File | UUID):
        return id_of(picture)
    if isinstance(picture, str):
        try:
            return str(UUID(picture))
        except ValueError:
            return None
    return None


def _content(picture: Picture) -> Content:
    if isinstance(picture, File | UUID):
        raise TypeError("a stored file is not uploaded")
    return picture
