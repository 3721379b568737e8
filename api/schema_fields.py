"""The fields of a model as a table for people: what stands within another has a dotted name."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

Schema = dict[str, Any]


class Field(NamedTuple):
    """Is a line of the table: `progress.percent`, `number or null`, and what is said of it."""

    name: str
    value: str
    description: str


def fields_of(model: type[BaseModel]) -> list[Field]:
    """List the fields of what a model is shown as, those within others included."""
    schema = model.model_json_schema(mode="serialization")
    return list(_fields(schema, schema.get("$defs", {}), ""))


def _fields(schema: Schema, known: dict[str, Schema], prefix: str) -> Iterator[Field]:
    for name, field in schema["properties"].items():
        yield Field(f"{prefix}{name}", _value(field, known), field.get("description", "").strip())
        for inner, brackets in _within(field, known):
            yield from _fields(inner, known, f"{prefix}{name}{brackets}.")


def _within(field: Schema, known: dict[str, Schema]) -> Iterator[tuple[Schema, str]]:
    field = _resolved(field, known)
    if field.get("properties"):
        yield field, ""
    for each in field.get("anyOf", []):
        yield from _within(each, known)
    if "items" in field:
        yield from ((inner, f"[]{brackets}") for inner, brackets in _within(field["items"], known))


def _value(field: Schema, known: dict[str, Schema]) -> str:
    """Say in words what a field may be."""
    field = _resolved(field, known)
    if "anyOf" in field:
        return " or ".join(_value(each, known) for each in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if field.get("type") == "array":
        return f"list of {_value(field.get('items', {}), known)}"
    return str(field.get("format") or field.get("type") or "any")


def _resolved(field: Schema, known: dict[str, Schema]) -> Schema:
    return known[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
