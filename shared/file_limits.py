"""What files a kind of job takes: checked when a job is enqueued, and already while a file is uploaded for one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shared.errors import FileTooLarge, MediaTypeNotAllowed
from shared.settings import Settings

Bytes = int | Callable[[Settings], int]
"""A number of bytes, or what reads it from the settings: `lambda settings: settings.max_image_bytes`."""

NeededFile = tuple[UUID, str, int]
"""A file that a job needs: its id, its media type, its size."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Says what the files of a job may be, in bytes each and together; None is no limit."""

    media_types: frozenset[str] | None = None
    max_file_bytes: int | None = None
    max_total_bytes: int | None = None

    def take(self, media_type: str) -> bool:
        """Tell whether files of this type are taken."""
        return self.media_types is None or media_type in self.media_types

    def require(self, files: Sequence[NeededFile], job_input: dict[str, Any], input_pointer: str | None) -> None:
        """Make sure that a job may have these files; raises `MediaTypeNotAllowed`, `FileTooLarge`.

        The error points to where the input, which stands at `input_pointer` in the client's body, names the file.
        """
        for file_id, media_type, size in files:
            if not self.take(media_type):
                pointer = _pointer(job_input, file_id, input_pointer)
                raise MediaTypeNotAllowed(f"The file is {media_type}, which the job does not take.", pointer=pointer)
            if self.max_file_bytes is not None and size > self.max_file_bytes:
                pointer = _pointer(job_input, file_id, input_pointer)
                raise FileTooLarge(f"The file is larger than {self.max_file_bytes} bytes.", pointer=pointer)
        if self.max_total_bytes is not None and sum(size for _, _, size in files) > self.max_total_bytes:
            detail = f"The files have more than {self.max_total_bytes} bytes together."
            raise FileTooLarge(detail, pointer=input_pointer or None)


NO_LIMITS = FileLimits()


def bytes_of(limit: Bytes | None, settings: Settings) -> int | None:
    """Give a limit as these settings have it."""
    return limit(settings) if callable(limit) else limit


def _pointer(job_input: dict[str, Any], file_id: UUID, input_pointer: str | None) -> str | None:
    if input_pointer is None:
        return None
    path = _find(job_input, str(file_id))
    return None if path is None else input_pointer + path


def _find(value: Any, wanted: str) -> str | None:
    if isinstance(value, dict):
        escaped = ((str(name).replace("~", "~0").replace("/", "~1"), item) for name, item in value.items())
        found = ((f"/{name}", _find(item, wanted)) for name, item in escaped)
    elif isinstance(value, list):
        found = ((f"/{index}", _find(item, wanted)) for index, item in enumerate(value))
    else:
        return "" if value == wanted else None
    return next((step + path for step, path in found if path is not None), None)
