"""Receiving files, as forms or raw: nothing is kept before it is whole and allowed, and all is discarded as one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from fastapi import Request

from api.incoming_file import IncomingFile, UploadRules
from api.multipart import Event, Part, PartEnd, boundary_of, parse_form
from api.request_body import Body
from api.upload_errors import (
    EmptyFile,
    NothingStored,
    PartMissing,
    PartNotValid,
    PartUnknown,
    TooManyParts,
)
from shared.errors import FileTooLarge, JobyardError, MediaTypeNotAllowed
from shared.quota import QuotaExceeded

FORM_OVERHEAD_BYTES = 1024 * 1024
"""What a form may have beside its files: boundaries, headers, texts."""
LONGEST_TEXT_BYTES = 64 * 1024


@dataclass(slots=True)
class Form:
    """Is what a form brought; with several files allowed, one that was refused says so in `refusal`."""

    files: list[IncomingFile] = field(default_factory=list[IncomingFile])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    most_files: int = 1

    @property
    def accepted(self) -> list[IncomingFile]:
        """The files that were not refused."""
        return [file for file in self.files if file.refusal is None]

    async def keep(self) -> None:
        """Keep the blobs of the accepted files, and the hashes of those refused for want of room.

        Raises `NothingStored` when all are refused, `StorageFull`, `StorageUnavailable`; `QuotaExceeded` of one file.
        """
        files = [file for file in self.files if file.counts]
        outcomes = await asyncio.gather(*(file.keep() for file in files), return_exceptions=True)
        for file, outcome in zip(files, outcomes, strict=True):
            if isinstance(outcome, QuotaExceeded):
                self.refuse(file, outcome)
                await file.keep()
            elif outcome is not None:
                raise outcome
        self.require_accepted()

    def refuse(self, file: IncomingFile, error: JobyardError) -> None:
        """Refuse one of several files; where one only is allowed, raises the error instead."""
        if self.most_files == 1:
            raise error
        file.refuse(error)

    def require_accepted(self) -> None:
        """Make sure that there is a file to store; raises `NothingStored`."""
        if not self.accepted:
            codes = ", ".join(sorted({file.refusal.code for file in self.files if file.refusal}))
            raise NothingStored(f"No file was stored: {codes}.", pointer="/files")


@contextlib.asynccontextmanager
async def receive_form(request: Request, rules: UploadRules) -> AsyncGenerator[Form, None]:
    """Receive a form; what it stored is discarded at the end of the block, unless the files were released.

    Raises the errors of `api.upload_errors`, `StorageFull` and `StorageUnavailable`.
    """
    limit = rules.most_files * rules.max_file_bytes + FORM_OVERHEAD_BYTES
    body = Body(request, limit)
    reader = _FormReader(rules, max(0, (body.length or 0) - FORM_OVERHEAD_BYTES) if rules.most_files == 1 else 0)
    async with _discarding(reader.form):
        with body.guarded():
            boundary = boundary_of(request.headers.get("content-type", ""))
            most_parts = rules.most_files + len(rules.text_parts)
            async with contextlib.aclosing(parse_form(body.chunks(), boundary, most_parts)) as events:
                async for event in events:
                    await reader.read(event)
        yield reader.form


@contextlib.asynccontextmanager
async def receive_raw(request: Request, rules: UploadRules, name: str | None) -> AsyncGenerator[Form, None]:
    """Receive a body that is the file itself; otherwise as `receive_form`."""
    body = Body(request, rules.max_file_bytes)
    form = Form([IncomingFile(rules, name, body.length or 0)])
    async with _discarding(form):
        with body.guarded():
            async with contextlib.aclosing(body.chunks()) as chunks:
                async for chunk in chunks:
                    await form.files[0].write(chunk)
            form.files[0].finish()
        yield form


class _FormReader:
    def __init__(self, rules: UploadRules, expected: int) -> None:
        self.form = Form(most_files=rules.most_files)
        self._expected = expected
        self._rules = rules
        self._text_name: str | None = None
        self._text = bytearray()

    async def read(self, event: Event) -> None:
        if isinstance(event, Part):
            self._begin(event)
        elif isinstance(event, PartEnd):
            await self._end()
        elif self._text_name is None:
            await self._add_to_file(event)
        else:
            self._text += event
            if len(self._text) > LONGEST_TEXT_BYTES:
                raise _part_error(PartNotValid, self._text_name, f"Longer than {LONGEST_TEXT_BYTES} bytes.")

    def _begin(self, part: Part) -> None:
        if part.name == self._rules.file_part:
            if len(self.form.files) == self._rules.most_files:
                raise _part_error(TooManyParts, part.name, f"At most {self._rules.most_files} can be sent.")
            self._text_name = None
            self.form.files.append(IncomingFile(self._rules, part.file_name, self._expected))
        elif part.name not in self._rules.text_parts:
            raise _part_error(PartUnknown, part.name, "The form has no such part.")
        elif part.name in self.form.texts:
            raise _part_error(TooManyParts, part.name, "It can be sent once only.")
        else:
            self._text_name = part.name
            self._text.clear()

    async def _add_to_file(self, chunk: bytes) -> None:
        file = self.form.files[-1]
        if file.counts:
            try:
                await file.write(chunk)
            except (FileTooLarge, MediaTypeNotAllowed, QuotaExceeded) as error:
                await self._refuse(file, error)

    async def _end(self) -> None:
        if self._text_name is not None:
            try:
                self.form.texts[self._text_name] = self._text.decode()
            except UnicodeDecodeError:
                raise _part_error(PartNotValid, self._text_name, "It is not UTF-8.") from None
        elif self.form.files[-1].counts:
            try:
                self.form.files[-1].finish()
            except (EmptyFile, MediaTypeNotAllowed) as error:
                await self._refuse(self.form.files[-1], error)

    async def _refuse(self, file: IncomingFile, error: JobyardError) -> None:
        self.form.refuse(file, error)
        if not file.counts:
            await file.discard()


def missing_part(name: str) -> PartMissing:
    """Make the error of a form that lacks a part."""
    return PartMissing(f"The form has no part {name!r}.", pointer=f"/{name}")


def _part_error(error: type[JobyardError], name: str, detail: str) -> JobyardError:
    shown = name[:100].replace("~", "~0").replace("/", "~1")
    return error(detail, pointer=f"/{shown}")


@contextlib.asynccontextmanager
async def _discarding(form: Form) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for file in form.files:
            await file.discard()
