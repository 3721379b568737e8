"""The bounds of what a template can make: no value of it is larger than a rendering may be.

So every single step is short, whatever it does with its values, and the limit on time can break in between two.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, cast

from jinja2 import Environment, Undefined
from jinja2.sandbox import SandboxedEscapeFormatter, SandboxedFormatter
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup

from shared.mail_missing import Missing
from shared.mail_templates import LARGEST_OUTPUT, TemplateFailed, TemplateTooLarge

LONGEST_RANGE = 10_000
_MOST_SHOWN = 8 * LARGEST_OUTPUT
_ITEM = 8
_DEEPEST = 32
_LARGEST_INTEGER_BITS = 4096
WIDEST = 1000
_MOST_DIGITS = 3

_PERCENT = re.compile(r"%(?:\([^()]*\))?[-+ #0]*\d{0,3}(?:\.\d{0,3})?[hlL]?[diouxXeEfFgGcrsa%]")
_LONG_NUMBER = re.compile(rf"\d{{{_MOST_DIGITS + 1}}}")

VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
SMALL = (int, float, type(None), range)
# What is iterated is made piece by piece.
_PASSING = (*SMALL, Missing, Iterator, Cycler, Joiner, Namespace)


def weighed(value: Any) -> Any:
    """Give a value back; raises `TemplateTooLarge`, or `TemplateFailed` for what is neither JSON nor made of it."""
    if isinstance(value, str):
        require_room(len(value))
    elif isinstance(value, int):
        if value.bit_length() > _LARGEST_INTEGER_BITS:
            raise TemplateTooLarge("The template makes a number that is too large.")
    elif not isinstance(value, _PASSING):
        _weigh(value)
    return value


def _weigh(value: object) -> None:
    total = 0
    waiting: list[tuple[int, Iterable[object]]] = [(0, (value,))]
    while waiting:
        depth, values = waiting.pop()
        if depth > _DEEPEST:
            raise TemplateTooLarge(f"The template nests lists deeper than {_DEEPEST} levels.")
        for each in values:
            if isinstance(each, str):
                total += len(each)
            elif isinstance(each, Missing):
                each.note()
            elif not isinstance(each, SMALL):
                waiting.append((depth + 1, _inside(each)))
            total += _ITEM
            require_room(total)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        inside = cast("dict[object, object]", value)
        return [*inside, *inside.values()]
    if isinstance(value, (list, tuple, *VIEWS)):
        return cast("Iterable[object]", value)
    raise TemplateFailed("The template may make texts, numbers, lists and objects only.")


def require_room(size: int) -> None:
    """Raise `TemplateTooLarge` for a value of so many characters."""
    if size > LARGEST_OUTPUT:
        raise TemplateTooLarge(f"The template makes a value of more than {LARGEST_OUTPUT} characters.")


class Showing:
    """Counts what one rendering shows: a macro keeps it all, escaped, before its size is looked at."""

    room: ClassVar[int] = 0

    @classmethod
    def begin(cls) -> None:
        """Begin a rendering."""
        cls.room = _MOST_SHOWN


def shown(value: object) -> object:
    """Give what stands in the output for a value: nothing for null.

    Raises `TemplateFailed` for what is not JSON, `TemplateTooLarge` when the rendering has shown too much.
    """
    if isinstance(value, str):
        Showing.room -= len(value)
        if Showing.room < 0:
            raise TemplateTooLarge(f"The template shows more than {_MOST_SHOWN} characters.")
        return value
    if value is None or type(value) is Undefined:
        # What an if without an else gives is no variable.
        return ""
    if isinstance(value, int | float | Missing):
        return value
    if isinstance(value, list | tuple | dict):
        return weighed(value)
    raise TemplateFailed("The template may show texts, numbers, lists and objects only.")


def concatenate(pieces: Iterable[str]) -> str:
    """Join texts; raises `TemplateTooLarge`."""
    room = LARGEST_OUTPUT
    kept: list[str] = []
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            raise TemplateTooLarge(f"The template makes more than {LARGEST_OUTPUT} characters.")
        kept.append(piece)
    return "".join(kept)


def bounded_range(*arguments: int) -> range:
    """Count, but not far; raises `TemplateTooLarge`."""
    numbers = range(*arguments)
    if len(numbers) > LONGEST_RANGE:
        raise TemplateTooLarge(f"range() may count {LONGEST_RANGE} numbers.")
    return numbers


def add(left: Any, right: Any) -> Any:
    """Add."""
    if isinstance(left, str) and isinstance(right, str):
        require_room(len(left) + len(right))
        return left + right
    return weighed(left + right)


def multiply(left: Any, right: Any) -> Any:
    """Multiply, or repeat."""
    for repeated, times in ((left, right), (right, left)):
        if isinstance(repeated, str | list | tuple) and isinstance(times, int):
            require_room(len(cast("str", repeated)) * times)
    return weighed(left * right)


def power(left: Any, right: Any) -> Any:
    """Raise to a power."""
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > _LARGEST_INTEGER_BITS:
        raise TemplateTooLarge("The template makes a number that is too large.")
    return weighed(left**right)


def remainder(left: Any, right: Any) -> Any:
    """Divide and give the rest, or fill in a text as C does."""
    if isinstance(left, str):
        if "%" in _PERCENT.sub("", left):
            raise TemplateFailed(f"A text for % may have fields of at most {_MOST_DIGITS} digits' width.")
        values = cast("tuple[object, ...]", right if isinstance(right, tuple) else (right,))
        # Each field can show all there is.
        require_room(len(left) + left.count("%") * max(map(_width, values), default=0))
    return weighed(left % right)


def _width(value: object) -> int:
    return len(value) if isinstance(value, str) else len(str(shown(value)))


class NarrowFormatter(SandboxedFormatter):
    """Formats within a width."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Refuse what pads a field to more than 999 characters."""
        if _LONG_NUMBER.search(format_spec):
            raise TemplateFailed(f"A field may have at most {_MOST_DIGITS} digits' width.")
        return super().format_field(shown(value), format_spec)


class NarrowEscapeFormatter(NarrowFormatter, SandboxedEscapeFormatter):
    """Formats HTML within a width."""


def format_by(environment: Environment, text: str) -> Callable[..., str]:
    """Give `text.format`, bounded."""
    escaping = isinstance(text, Markup)
    formatter = NarrowEscapeFormatter(environment, escape=text.escape) if escaping else NarrowFormatter(environment)

    def bounded(*values: Any, **named: Any) -> str:
        widest = max(map(_width, (*values, *named.values())), default=0)
        require_room(len(text) + text.count("{") * max(widest, 10**_MOST_DIGITS))
        return type(text)(formatter.vformat(text, values, named))

    return bounded


def join_by(text: str) -> Callable[[Iterable[str]], str]:
    """Give `text.join`, bounded."""

    def bounded(values: Iterable[str]) -> str:
        return text.join(fitting(values, len(text)))

    return bounded


def replace_in(text: str) -> Callable[..., str]:
    """Give `text.replace`, bounded."""

    def bounded(old: str, new: str, count: int = -1) -> str:
        require_room(len(text) + (text.count(old) + 1) * len(new))
        return text.replace(old, new, count)

    return bounded


def pad(method: Callable[..., str]) -> Callable[..., str]:
    """Bound `text.center`, `ljust`, `rjust` and `zfill`."""

    def bounded(width: int, *fill: str) -> str:
        require_narrow((width,), WIDEST)
        return method(width, *fill)

    return bounded


def fitting(values: Iterable[Any], between: int) -> list[Any]:
    """List what fits into one text with so many characters between; raises `TemplateTooLarge`."""
    room = LARGEST_OUTPUT
    kept: list[Any] = []
    for each in values:
        kept.append(shown(each))
        room -= _width(each) + between
        require_room(LARGEST_OUTPUT - room)
    return kept


def require_narrow(options: Iterable[object], widest: int) -> int:
    """Give how wide the options of a layout make it; raises `TemplateTooLarge`."""
    found = 0
    for option in options:
        size = len(option) if isinstance(option, str) else abs(option) if isinstance(option, int) else 0
        found = max(found, size)
    if found > widest:
        raise TemplateTooLarge(f"A layout may be {widest} characters or items wide.")
    return found
