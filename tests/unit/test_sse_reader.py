"""Server-sent events as the client reads them, however the stream is cut into pieces."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobyard.sse import LARGEST_EVENT, EventReader, SentEvent

VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=12)
LINES = st.one_of(
    st.builds("data: {}".format, VALUES),
    st.builds("data:{}".format, VALUES),
    st.builds("event: {}".format, VALUES),
    st.builds("id: {}".format, VALUES),
    st.builds("retry: {}".format, VALUES),
    st.builds(": {}".format, VALUES),
    st.just("data"),
    st.just("id"),
    st.just(""),
    VALUES,
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from(["\r", "\n", "\r\n"])), max_size=30)


def read(pieces: Sequence[bytes]) -> list[SentEvent]:
    reader = EventReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def interpret(text: str) -> list[SentEvent]:
    """Do what the standard says, on the whole text at once."""
    lines = re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))
    found: list[SentEvent] = []
    event, data, last_id = "", "", ""
    for line in lines[:-1]:
        if not line:
            if data:
                found.append(SentEvent(event or "message", data.removesuffix("\n"), last_id))
            event, data = "", ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data += value + "\n"
            elif name == "event":
                event = value
            elif name == "id" and "\0" not in value:
                last_id = value
    return found


@given(STREAMS, st.sampled_from(["", "\ufeff"]), st.data())
def test_any_stream_cut_anywhere_is_read_as_the_standard_says(
    stream: list[tuple[str, str]], mark: str, data: st.DataObject
) -> None:
    text = mark + "".join(line + end for line, end in stream)
    content = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    pieces = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    assert read(pieces) == interpret(text)
    assert read([content[place : place + 1] for place in range(len(content))]) == interpret(text)


def test_an_event_that_breaks_off_is_not_told_and_does_not_count_as_read() -> None:
    reader = EventReader()
    assert [event.data for event in reader.feed(b"id: 1\ndata: one\n\nid: 2\ndata: tw")] == ["one"]
    assert reader.last_id == "1"


def test_the_time_before_a_new_try_is_read_in_milliseconds() -> None:
    reader = EventReader()
    assert list(reader.feed(b"retry: 1500\n\nretry: soon\n\n")) == []
    assert reader.retry_seconds == 1.5


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_an_event_without_end_is_refused_before_it_fills_the_memory(end: bytes) -> None:
    reader = EventReader()
    piece = b"data: " + b"x" * 1_000_000 + end
    for _ in range(LARGEST_EVENT // 1_000_000):
        assert list(reader.feed(piece)) == []
    with pytest.raises(ValueError, match="too large"):
        list(reader.feed(piece))
