"""The filters of templates: Jinja's, but for a few, within the bounds of what a template can make."""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce, wraps
from typing import Any, cast

from jinja2 import Environment, Undefined, pass_environment, pass_eval_context
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.nodes import EvalContext

from shared import mail_bounds as bounds
from shared.mail_templates import LARGEST_OUTPUT, TemplateFailed, TemplateTooLarge

_WIDEST_INDENT_OF_JSON = 8
_LARGEST_LAYOUT = 32 * LARGEST_OUTPUT

_JINJA = cast("dict[str, Callable[..., Any]]", JINJA_FILTERS)
_WHOLE = (str, *bounds.SMALL, list, tuple, dict, *bounds.VIEWS, Undefined)
_FILTERED = (*_WHOLE, Iterator)
_ITERATING = frozenset(
    (
        "batch", "d", "default", "dictsort", "first", "groupby", "join", "list", "map", "max", "min", "reject",
        "rejectattr", "select", "selectattr", "slice", "sort", "sum", "unique",
    )
)  # fmt: skip


def _format(value: object, *values: Any, **named: Any) -> Any:
    if values and named:
        raise TemplateFailed("format takes values or named values, not both.")
    return bounds.remainder(value if isinstance(value, str) else str(value), named or values)


@pass_eval_context
def _join(context: EvalContext, values: Iterable[object], d: str = "", attribute: str | int | None = None) -> Any:
    if attribute is not None:
        values = map(make_attrgetter(context.environment, attribute), values)
    return _JINJA["join"](context, bounds.fitting(values, len(d)), d)


@pass_eval_context
def _replace(context: EvalContext, text: object, old: object, new: object, count: int | None = None) -> Any:
    # Any may be escaped on the way.
    bounds.require_room(len(str(text)) + (str(text).count(str(old)) + 1) * len(str(new)))
    return _JINJA["replace"](context, text, old, new, count)


@pass_environment
def _sum(environment: Environment, values: Iterable[Any], attribute: str | int | None = None, start: Any = 0) -> Any:
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    return reduce(bounds.add, values, start)


def _narrow(function: Callable[..., Any], widest: int) -> Callable[..., Any]:
    # The environment or its like may come before the value.
    before = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def narrow(*values: Any, **named: Any) -> Any:
        value = values[before]
        options = (*values[before + 1 :], *named.values())
        widths = bounds.require_narrow(options, widest)
        if isinstance(value, str) and len(value) * widths > _LARGEST_LAYOUT:
            raise TemplateTooLarge("The template lays out too long a text in too wide a layout.")
        return function(*values, **named)

    return narrow


def _weighing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    before = 1 if hasattr(function, "jinja_pass_arg") else 0
    allowed = _FILTERED if name in _ITERATING else _WHOLE

    @wraps(function)
    def weighing(*values: Any, **named: Any) -> Any:
        # Anything else would show how and where Python keeps it.
        if not all(isinstance(value, allowed) for value in (*values[before:], *named.values())):
            raise TemplateFailed(f"The filter {name} takes texts, numbers, lists and objects only.")
        return bounds.weighed(function(*values, **named))

    return weighing


def _make_filters() -> dict[str, Callable[..., Any]]:
    own = {"format": _format, "join": _join, "replace": _replace, "sum": _sum}
    narrow: dict[str, int] = dict.fromkeys(
        ("batch", "center", "indent", "round", "slice", "urlize", "wordwrap"), bounds.WIDEST
    )
    narrow["tojson"] = _WIDEST_INDENT_OF_JSON
    # `attr` reaches what JSON does not have; the others give another text each time, or show how Python sees a value.
    kept = {name: function for name, function in _JINJA.items() if name not in {"attr", "pprint", "random"}}
    kept |= own | {name: _narrow(kept[name], widest) for name, widest in narrow.items()}
    return {name: _weighing(name, function) for name, function in kept.items()}


FILTERS = _make_filters()

GROUP: type = type(_JINJA["groupby"](Environment(), [{"a": 1}], "a")[0])  # noqa: S701 - it renders nothing
"""What a list of `groupby` is made of."""
