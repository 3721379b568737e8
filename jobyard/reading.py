"""Reading JSON into models: what is unknown is ignored, so that a newer server does not break an older client."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin

from jobyard.errors import AnswerNotValid

M = TypeVar("M", bound="Model")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Is the base of what is read; `raw` is all that the server said, also what this client does not know."""

    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict[str, Any], repr=False, compare=False)


def named(name: str) -> Any:
    """Make a required field that has another name in JSON, because that one is a word of Python's."""
    return dataclasses.field(metadata={"name": name})


def read(model: type[M], value: object) -> M:
    """Read a model; raises `AnswerNotValid` when something that it needs is missing or is something else."""
    if not isinstance(value, Mapping):
        raise AnswerNotValid(f"The server gave no {model.__name__}; is this the address of Jobyard?")
    given = cast("Mapping[str, Any]", value)
    values: dict[str, Any] = {"raw": given}
    for field in _fields(model):
        if field.wire_name in given:
            try:
                values[field.name] = _convert(field.annotation, given[field.wire_name])
            except (TypeError, ValueError) as error:
                raise AnswerNotValid(f"The server gave a {model.__name__} without a good {field.wire_name}.") from error
        elif field.required:
            raise AnswerNotValid(f"The server gave a {model.__name__} without {field.wire_name}.")
    return model(**values)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    name: str
    wire_name: str
    annotation: Any
    required: bool


@cache
def _fields(model: type[Model]) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(model)
    return tuple(
        _Field(
            field.name,
            field.metadata.get("name", field.name),
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(model)
        if field.name != "raw"
    )


def _convert(annotation: Any, value: Any) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        # Only `X | None` is used.
        return None if value is None else _convert(arguments[0], value)
    if origin is tuple:
        return tuple(_convert(arguments[0], item) for item in _expect(list, value))
    if origin is Mapping:
        return {name: _convert(arguments[1], item) for name, item in _expect(dict, value).items()}
    return value if annotation is Any else _convert_plain(annotation, value)


def _convert_plain(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Model):
        return read(kind, value)
    if kind is datetime:
        return datetime.fromisoformat(_expect(str, value))
    if kind is float:
        return float(_expect((int, float), value))
    return _expect(kind, value)


def _expect(kind: type[Any] | tuple[type[Any], ...], value: Any) -> Any:
    # In Python a bool is an int, which it is not in JSON.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{type(value).__name__} in place of {kind}")
    return value
