"""`file.inspect`: tells what a stored file is, from its content alone."""

import hashlib
from datetime import timedelta
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.media_type import HEAD_BYTES, sniff
from shared.models import File

CHUNK_BYTES = 1024 * 1024


class FileInspectInput(JobInput):
    """Names the file."""

    file_id: UUID

    def file_ids(self) -> list[UUID]:
        """Name the file."""
        return [self.file_id]


class ImageInspection(BaseModel):
    """Is what a picture's header says: its size as displayed, and the camera's local time, which has no zone."""

    width: int
    height: int
    format: Literal["jpeg", "png", "webp", "gif", "avif", "heic"]
    mode: str
    orientation: int
    has_alpha: bool
    frames: int
    taken_at: str | None


class FileInspectResult(JobResult):
    """Describes the content; `image` is null for what is no readable picture."""

    media_type: str
    size: int
    sha256: str
    image: ImageInspection | None


@job("file.inspect", timeout=timedelta(minutes=30))
def inspect_file(job_input: FileInspectInput, context: JobContext) -> FileInspectResult:
    """Tell a file's media type, size, SHA-256 and, for a picture, its dimensions, orientation and date."""
    file = context.file(job_input.file_id)
    media_type, size, sha256 = _read(context, file)
    image = _inspect_picture(context, file) if media_type.startswith("image/") else None
    return FileInspectResult(media_type=media_type, size=size, sha256=sha256, image=image)


def _read(context: JobContext, file: File) -> tuple[str, int, str]:
    head, size, digest = b"", 0, hashlib.sha256()
    with context.open_file(file) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            head = head or chunk[:HEAD_BYTES]
            size += len(chunk)
            digest.update(chunk)
            context.progress(size, file.size)
    return sniff(head), size, digest.hexdigest()


def _inspect_picture(context: JobContext, file: File) -> ImageInspection | None:
    from worker.imaging import inspect_image  # noqa: PLC0415 - the front imports this module, but not Pillow
    from worker.renditions import ImageError  # noqa: PLC0415 - likewise

    try:
        with context.local_path(file) as path:
            facts = inspect_image(path)
    except ImageError:
        return None
    return ImageInspection(
        width=facts.width,
        height=facts.height,
        format=facts.format,
        mode=facts.mode,
        orientation=facts.orientation,
        has_alpha=facts.has_alpha,
        frames=facts.frames,
        taken_at=facts.taken_at,
    )
