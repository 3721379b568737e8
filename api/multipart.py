"""Multipart forms as they arrive: parts and their contents one after another, never a whole body."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from api.file_names import disposition_parameters
from api.upload_errors import MultipartNotValid, TooManyParts

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_PLAIN_ENCODINGS = {b"", b"7bit", b"8bit", b"binary"}


@dataclass(frozen=True, slots=True)
class Part:
    """Begins a part: the name of the form's field, and the file name that the client gave."""

    name: str
    file_name: str | None


@dataclass(frozen=True, slots=True)
class PartEnd:
    """Ends a part."""


Event = Part | bytes | PartEnd


def boundary_of(content_type: str) -> bytes:
    """Give the boundary that a Content-Type names; raises `MultipartNotValid`."""
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise MultipartNotValid("The Content-Type names no boundary.")
    return boundary


async def parse_form(
    chunks: AsyncGenerator[bytes, None], boundary: bytes, most_parts: int
) -> AsyncGenerator[Event, None]:
    """Parse a form: for each part `Part`, its content in pieces, `PartEnd`.

    Raises `MultipartNotValid`, also when the body ends before its closing boundary, and `TooManyParts`.
    """
    reader = _Reader(most_parts)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async with contextlib.aclosing(chunks):
            async for chunk in chunks:
                parser.write(chunk)
                for event in reader.take():
                    yield event
    except FormParserError as error:
        raise MultipartNotValid("The multipart body cannot be parsed.") from error
    if not reader.ended:
        raise MultipartNotValid("The multipart body ends before its closing boundary.")


@dataclass(slots=True)
class _Reader:
    """Gathers what the parser calls back with while it is fed one chunk."""

    most_parts: int
    ended: bool = False
    _parts: int = 0
    _events: list[Event] = field(default_factory=list[Event])
    _header_name: bytearray = field(default_factory=bytearray)
    _header_value: bytearray = field(default_factory=bytearray)
    _headers: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])

    def take(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": _appender(self._header_name),
            "on_header_value": _appender(self._header_value),
            "on_header_end": self._end_header,
            "on_headers_finished": self._finish_headers,
            "on_part_data": self._add_content,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > self.most_parts:
            raise TooManyParts(f"The form has more than {self.most_parts} parts.")
        self._headers = {}

    def _end_header(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _finish_headers(self) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise MultipartNotValid("A part has a Content-Transfer-Encoding, which RFC 7578 forbids.")
        parameters = disposition_parameters(self._headers.get(b"content-disposition", b""))
        name = parameters.get("name")
        if name is None:
            raise MultipartNotValid("A part has no name.")
        self._events.append(Part(name, parameters.get("filename")))

    def _add_content(self, chunk: bytes, start: int, end: int) -> None:
        self._events.append(chunk[start:end])

    def _end_part(self) -> None:
        self._events.append(PartEnd())

    def _end(self) -> None:
        self.ended = True


def _appender(target: bytearray) -> Callable[[bytes, int, int], None]:
    def append(chunk: bytes, start: int, end: int) -> None:
        target.extend(chunk[start:end])

    return append
