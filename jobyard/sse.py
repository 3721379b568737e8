"""The format of server-sent events (WHATWG HTML, section 9.2.6), read from pieces that are split anywhere."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

LARGEST_EVENT = 16 * 1024 * 1024
"""In characters; what is larger is no event of Jobyard's, and must not fill the memory."""


@dataclass(frozen=True, slots=True)
class SentEvent:
    """Is an event; `id` is the last that the stream has told, at or before it, and empty when it told none."""

    event: str
    data: str
    id: str


class EventReader:
    """Reads one stream. `last_id` outlives it: it is given to the reader of the stream that continues this one."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_seconds: float | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._at_start = True
        self._after_return = False
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._next_id = last_id

    def feed(self, piece: bytes) -> Iterator[SentEvent]:
        """Take a piece in and give each event that is complete now; raises `ValueError` when one is too large."""
        for line in self._lines(self._decoder.decode(piece)):
            if line:
                self._take(line)
                continue
            self.last_id = self._next_id
            if self._data:
                yield SentEvent(self._event or "message", "\n".join(self._data), self.last_id)
            self._event, self._data, self._size = "", [], 0

    def _lines(self, text: str) -> Iterator[str]:
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        if self._after_return and text:
            # The other half of a CRLF that was split.
            self._after_return = False
            text = text.removeprefix("\n")
        self._after_return = self._after_return or text.endswith("\r")
        whole = self._text + text
        self._require_size(len(whole) + self._size)
        # Not splitlines(), which also splits at what is no end of a line here.
        *lines, self._text = whole.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from lines

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "data":
                self._size += len(value) + 1
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self._next_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_seconds = int(value[:9]) / 1000
            case _:
                """A comment, or a field that is none, is ignored, as the standard says."""

    def _require_size(self, size: int) -> None:
        if size > LARGEST_EVENT:
            raise ValueError("an event is too large")
