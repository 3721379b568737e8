"""Kinds that take only some files."""

from uuid import UUID

from shared.job_context import JobContext
from shared.job_kind import JobInput, JobResult, job


class OneFile(JobInput):
    """Names a file."""

    file_id: UUID

    def file_ids(self) -> list[UUID]:
        """Name the file."""
        return [self.file_id]


class Album(JobInput):
    """Names files in lists of lists."""

    pages: list[list[UUID]]

    def file_ids(self) -> list[UUID]:
        """Name the files."""
        return [file_id for page in self.pages for file_id in page]


class Nothing(JobResult):
    """Says nothing."""


@job("test.small_picture", media_types=frozenset({"image/png"}), max_file_bytes=100)
def take_small_picture(_one: OneFile, _context: JobContext) -> Nothing:
    """Take a small picture."""
    return Nothing()


@job("test.album", max_total_bytes=lambda settings: settings.max_archive_bytes, media_types=frozenset({"image/png"}))
def take_album(_album: Album, _context: JobContext) -> Nothing:
    """Take pictures that are not too large together."""
    return Nothing()


class Text(JobInput):
    """Carries a text."""

    text: str


@job("test.pass_on")
def pass_on(given: Text, context: JobContext) -> Nothing:
    """Write a text, and have a kind that takes no texts do something with it."""
    with context.output("words.txt", "text/plain") as output:
        output.stream.write(given.text.encode())
    context.enqueue("test.small_picture", {"file_id": str(output.file_id)})
    return Nothing()
