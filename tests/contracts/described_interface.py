"""The interface as its OpenAPI document describes it: operations, what each can be told, and examples of answers."""

import re
from functools import cached_property
from typing import Any

JSON = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


class Interface:
    """Reads a document. An operation is named by its method and path: `GET /v1/jobs/{job_id}`."""

    def __init__(self, document: JSON) -> None:
        self._document = document

    @cached_property
    def operations(self) -> dict[str, JSON]:
        """Every operation by its name."""
        return {
            f"{method.upper()} {path}": described
            for path, methods in self._document["paths"].items()
            for method, described in methods.items()
            if method in _METHODS
        }

    def operation_of(self, method: str, path: str) -> str:
        """Name the operation of a request; raises `LookupError` when none is described."""
        found = [name for name, pattern in self._patterns.items() if pattern.fullmatch(f"{method} {path}")]
        if not found:
            raise LookupError(f"{method} {path} is no operation")
        # `/v1/jobs/bulk` is not a job.
        return min(found, key=lambda name: name.count("{"))

    def options(self, operation: str) -> frozenset[str]:
        """Name what an operation can be told: in its query, and in the objects or forms that it takes."""
        described = self.operations[operation]
        names = {each["name"] for each in described.get("parameters", ()) if each["in"] == "query"}
        for media in described.get("requestBody", {}).get("content", {}).values():
            names |= self._properties(media["schema"])
        return frozenset(names)

    def takes_key(self, operation: str) -> bool:
        """Tell whether an operation takes an idempotency key."""
        return any(each["name"] == "Idempotency-Key" for each in self.operations[operation].get("parameters", ()))

    def example(self, operation: str, status: str | None = None, *, cursor: str | None = None) -> tuple[int, Any]:
        """Give a good answer: its status, the first unless said, and its JSON, None without any."""
        answers: JSON = self.operations[operation]["responses"]
        status = status or min(answers)
        media = answers[status].get("content", {}).get("application/json")
        return int(status), None if media is None else self._shown(media["schema"], cursor)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        return {
            name: re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", name)))
            for name in self.operations
        }

    def _shown(self, schema: JSON, cursor: str | None) -> Any:
        schema = self._resolved(schema)
        if "example" in schema:
            return schema["example"]
        if schema.get("type") == "array":
            return [self._shown(schema["items"], cursor)]
        return {"items": self._shown(schema["properties"]["items"], cursor), "next_cursor": cursor}

    def _properties(self, schema: JSON) -> set[str]:
        schema = self._resolved(schema)
        if "oneOf" in schema:
            # A job's input is another for each kind.
            return {name for each in schema["oneOf"] for name in self._resolved(each)["properties"]}
        names: set[str] = set()
        for name, each in schema.get("properties", {}).items():
            inner = self._properties(each) if "$ref" in each else set[str]()
            names |= {f"{name}.{below}" for below in inner} or {name}
        return names

    def _resolved(self, schema: JSON) -> JSON:
        return (
            self._document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        )
