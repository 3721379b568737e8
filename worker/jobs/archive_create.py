"""`archive.create`: packs stored files into a ZIP archive, as a stream from disk to disk."""

import unicodedata
import zipfile
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field
from sqlalchemy import select

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job
from shared.job_outcome import Fail
from shared.models import File

CHUNK_BYTES = 1024 * 1024
MOST_FILES = 10_000
LONGEST_NAME_BYTES = 255
LONGEST_STEM_BYTES = 200

# Deflate gains nothing on these and costs most of the time.
_COMPRESSED = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/heic", "video/", "audio/",
               "application/zip", "application/gzip", "application/x-xz", "application/zstd", "application/vnd.rar",
               "application/x-7z-compressed", "application/vnd.openxmlformats-officedocument.")  # fmt: skip
_UNSAFE = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))
_EARLIEST_YEAR, _LATEST_YEAR = 1980, 2107


def _require_different(file_ids: list[UUID]) -> list[UUID]:
    if len(set(file_ids)) != len(file_ids):
        raise ValueError("names a file twice")
    return file_ids


def _require_safe(name: str) -> str:
    if not name.isprintable() or name.translate(_UNSAFE) != name or name != name.strip(" ").rstrip("."):
        raise ValueError("must be a plain file name")
    if len(name.encode("utf-8", "replace")) > LONGEST_NAME_BYTES:
        raise ValueError(f"must be at most {LONGEST_NAME_BYTES} bytes of UTF-8")
    return name


class ArchiveCreateInput(JobInput):
    """Names the files to pack, and the archive."""

    # The wire says file_ids, which is the name of the method that every input has.
    model_config = ConfigDict(serialize_by_alias=True)

    members: Annotated[list[UUID], AfterValidator(_require_different)] = Field(
        alias="file_ids", min_length=1, max_length=MOST_FILES
    )
    name: Annotated[str, AfterValidator(_require_safe)] = Field("archive.zip", min_length=1)

    def file_ids(self) -> list[UUID]:
        """Name the files to pack."""
        return self.members


class ArchiveCreateResult(JobResult):
    """Names the archive; `size` is in bytes."""

    file_id: UUID
    size: int
    entries: int


@job(
    "archive.create",
    queue="archives",
    timeout=timedelta(hours=1),
    max_total_bytes=lambda settings: settings.max_archive_bytes,
)
def create_archive(job_input: ArchiveCreateInput, context: JobContext) -> ArchiveCreateResult:
    """Pack stored files into a ZIP archive; equal names get a number, what is compressed already is stored."""
    files = _read_files(context, job_input.members)
    progress = _Progress(context, sum(file.size for file in files))
    names = UniqueNames()
    with context.output(job_input.name, "application/zip") as output:
        # Output streams cannot seek: zipfile then writes sizes behind each entry, and ZIP64 where they need it.
        with zipfile.ZipFile(output.stream, "w") as archive:
            for file in files:
                _add(context, archive, file, names.take(file.name), progress)
        return ArchiveCreateResult(file_id=output.file_id, size=output.size, entries=len(files))


def _read_files(context: JobContext, file_ids: Sequence[UUID]) -> list[File]:
    with context.session() as session:
        statement = select(File).where(File.owner_id == context.owner_id, File.id.in_(file_ids))
        found = {file.id: file for file in session.scalars(statement)}
    for file_id in file_ids:
        if file_id not in found:
            raise Fail("file_not_found", f"File {file_id} does not exist.")
    return [found[file_id] for file_id in file_ids]


def _add(context: JobContext, archive: zipfile.ZipFile, file: File, name: str, progress: "_Progress") -> None:
    with context.open_file(file) as source, archive.open(_entry(file, name), "w") as target:
        copied = 0
        while chunk := source.read(CHUNK_BYTES):
            copied += len(chunk)
            if copied > file.size:
                break
            target.write(chunk)
            progress.add(len(chunk), name)
    if copied != file.size:
        raise Fail("file_damaged", f"The content of file {file.id} is not as long as it was.")


def _entry(file: File, name: str) -> zipfile.ZipInfo:
    moment = file.created_at.astimezone(UTC)
    year = min(max(moment.year, _EARLIEST_YEAR), _LATEST_YEAR)
    entry = zipfile.ZipInfo(name, (year, *moment.timetuple()[1:6]))
    entry.compress_type = zipfile.ZIP_STORED if file.media_type.startswith(_COMPRESSED) else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    # Says beforehand whether the entry needs ZIP64.
    entry.file_size = file.size
    return entry


class _Progress:
    """Counts bytes and looks for a cancel request at each chunk."""

    def __init__(self, context: JobContext, total: int) -> None:
        self._context = context
        self._total = total
        self._completed = 0
        context.progress(0, total)

    def add(self, count: int, name: str) -> None:
        self._completed += count
        self._context.progress(self._completed, self._total, name)


class UniqueNames:
    """Gives each entry a name of its own that every system can unpack: `a.jpg`, `a (2).jpg`, `a (3).jpg`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Give a free name like this one: one component, no control characters, unlike others in more than case."""
        name = "".join(mark for mark in unicodedata.normalize("NFC", name) if mark.isprintable())
        name = name.translate(_UNSAFE).strip(" ").rstrip(". ") or "file"
        stem, dot, extension = name.rpartition(".")
        if not stem or len(extension) > 10 or " " in extension:  # noqa: PLR2004 - then it is no extension
            stem, dot, extension = name, "", ""
        stem = stem.encode("utf-8", "replace")[:LONGEST_STEM_BYTES].decode("utf-8", "ignore")
        unique = first = f"{stem}{dot}{extension}"
        # Remembered per name, or a thousand equal ones would be tried half a million times.
        number = self._next.get(first.casefold(), 2)
        while unique.casefold() in self._taken:
            unique = f"{stem} ({number}){dot}{extension}"
            number += 1
        self._taken.add(unique.casefold())
        self._next[first.casefold()] = number
        return unique
