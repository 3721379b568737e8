"""The `Range` header (RFC 9110, section 14): which bytes of a content are asked for.

One range is answered as such. Several in one request are not: the whole content is sent instead, which the standard
allows. So a request never costs more than one pass over one file, however many ranges it names or how they overlap.
"""

import re
from dataclasses import dataclass

from shared.errors import JobyardError

# Without \d: that would match the digits of every script.
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_LONGEST_NUMBER = 18
"""No file is so large that a number with more digits would mean another byte."""


class RangeNotSatisfiable(JobyardError):
    """Is raised when the range that is asked for lies outside the content."""

    status = 416
    code = "range_not_satisfiable"
    title = "Range not satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The content has {size} bytes; the range lies outside.", headers={"Content-Range": f"bytes */{size}"}
        )


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Is a part of a content of `size` bytes: those from `start` to before `end`."""

    start: int
    end: int
    size: int

    @property
    def header(self) -> str:
        """The value of `Content-Range`."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Read a `Range` header for a content of `size` bytes; None means the whole content.

    That is: no header, a malformed one, another unit, or several ranges. Raises `RangeNotSatisfiable`.
    """
    unit, separator, listed = (header or "").partition("=")
    if not separator or unit.lower() != "bytes":
        return None
    # A list may have empty places (RFC 9110, section 5.6.1).
    ranges = [item for part in listed.split(",") if (item := part.strip(" \t"))]
    found = _RANGE.fullmatch(ranges[0]) if len(ranges) == 1 else None
    if found is None or found.group() == "-":
        return None
    first, last = (_number(digits) for digits in found.groups())
    if first is None:
        return _suffix(last or 0, size)
    if last is not None and last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiable(size)
    return ByteRange(first, size if last is None else min(last + 1, size), size)


def _suffix(length: int, size: int) -> ByteRange | None:
    if not length:
        raise RangeNotSatisfiable(size)
    # The end of an empty content is all of it, and no Content-Range can say so.
    return ByteRange(max(0, size - length), size, size) if size else None


def _number(digits: str) -> int | None:
    if not digits:
        return None
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _LONGEST_NUMBER else 10**_LONGEST_NUMBER
