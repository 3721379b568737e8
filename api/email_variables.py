"""What a client gives a template to show: JSON within bounds, and nothing that PostgreSQL or a mail cannot hold."""

import math
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

LARGEST_VARIABLES = 64 * 1024
DEEPEST_VARIABLES = 8
_NODE = 2


def check_variables(variables: dict[str, Any]) -> dict[str, Any]:
    """Give the variables back; raises `PydanticCustomError` for too much, too deep, or what cannot be stored.

    The size is about that of their JSON in characters.
    """
    room = LARGEST_VARIABLES - _size(variables, DEEPEST_VARIABLES)
    if room < 0:
        raise PydanticCustomError(
            "variables_too_large", "Should be at most {most} characters as JSON", {"most": LARGEST_VARIABLES}
        )
    return variables


def _size(value: object, depth: int) -> int:
    if isinstance(value, str):
        return len(require_storable(value)) + _NODE
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("finite_number", "Should have no numbers but finite ones")
    if not isinstance(value, dict | list):
        return len(str(value)) + _NODE
    if not depth:
        raise PydanticCustomError(
            "variables_too_deep", "Should be nested at most {deepest} levels deep", {"deepest": DEEPEST_VARIABLES}
        )
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    return _NODE + sum(_size(each, depth - 1) for each in cast("list[object]", inside))


def require_storable(text: str) -> str:
    """Give a text back; raises `PydanticCustomError` for one with NUL or a lone surrogate."""
    if "\0" in text or not (text.isascii() or _is_unicode(text)):
        raise PydanticCustomError("unstorable_text", "Should have neither NUL nor lone surrogates")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


Variables = Annotated[
    dict[str, Any],
    Field(
        description=f"What the template shows: at most {LARGEST_VARIABLES} characters as JSON.",
        examples=[{"name": "Ann", "items": [{"title": "A lamp", "price": "12.00"}]}],
    ),
    AfterValidator(check_variables),
]
"""Variables by the name that the template knows them by."""
