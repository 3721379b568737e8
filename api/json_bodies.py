"""What large JSON bodies may hold, found out before they are parsed."""

from fastapi.exceptions import RequestValidationError

MOST_JSON_VALUES = 1_000_000
"""20 MiB could hold seven times as many, whose objects would take half a gigabyte, and seconds of everyone's time."""


def require_few_values(content: bytes) -> None:
    """Raise `RequestValidationError` for a body of more JSON values than are parsed."""
    # Each value but the first follows one of these; those in texts count, too, which only makes the limit stricter.
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_JSON_VALUES:
        message = f"Should have at most {MOST_JSON_VALUES} values: commas and opening brackets are counted"
        raise RequestValidationError([{"loc": ("body",), "type": "too_many_values", "msg": message}])
