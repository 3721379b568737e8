"""What the front imports, and what its OpenAPI promises."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI

HEAVY = {
    *("celery", "kombu", "billiard", "PIL", "aiosmtplib", "alembic", "ops", "rich", "httpx2"),
    *("jinja2", "css_inline", "inscriptis", "lxml"),
}


def test_the_front_imports_nothing_heavy() -> None:
    program = (
        "import sys, json; from api.app import create_app; create_app();"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOBYARD_")}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    loaded = set(json.loads(ended.stdout))
    assert "fastapi" in loaded
    assert loaded & HEAVY == set()


def operations(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for path, methods in app.openapi()["paths"].items():
        found += [(f"{method.upper()} {path}", operation) for method, operation in methods.items()]
    return found


def test_every_operation_is_described_typed_and_declares_its_errors(app: FastAPI) -> None:
    listed = operations(app)
    assert len(listed) > 20
    for name, operation in listed:
        assert operation.get("description") or operation.get("summary"), name
        good = [status for status in operation["responses"] if status.startswith(("2", "3"))]
        assert good, name
        for status in good:
            answer = operation["responses"][status]
            if status in {"200", "201", "202"} and "content" in answer:
                content = answer["content"]
                assert content, name
                for media in content.values():
                    assert media.get("schema") not in (None, {}), f"{name} {status}"
        if not name.startswith("GET /health"):
            problems = {status for status in operation["responses"] if status.startswith(("4", "5"))}
            assert {"422", "503"} <= problems, name
            if operation.get("security"):
                assert "401" in problems, name
        for status, answer in operation["responses"].items():
            if status.startswith("4"):
                assert set(answer["content"]) == {"application/problem+json"}, f"{name} {status}"


def test_every_model_of_the_interface_has_an_example(app: FastAPI) -> None:
    document = app.openapi()
    schemas = document["components"]["schemas"]

    def has_example(schema: dict[str, Any]) -> bool:
        if "$ref" in schema:
            return has_example(schemas[schema["$ref"].rpartition("/")[2]])
        if "example" in schema or "examples" in schema:
            return True
        choices = [choice for key in ("anyOf", "oneOf") for choice in schema.get(key, ())]
        if choices:
            return all(has_example(choice) for choice in choices if choice.get("type") != "null")
        if schema.get("type") == "array":
            return has_example(schema["items"])
        properties: dict[str, Any] = schema.get("properties", {})
        if not properties:
            return schema.get("type") != "object" or "const" in schema
        # A page is as good as what it lists.
        return "items" in properties and has_example(properties["items"])

    lacking = [
        f"{name} {status}"
        for name, operation in operations(app)
        for status, answer in operation["responses"].items()
        for media in answer.get("content", {}).values()
        if not ("example" in media or "examples" in media or has_example(media["schema"]))
        and not name.startswith("GET /health")
    ]
    assert lacking == []


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_the_documentation_names_no_other_host(client: Any, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    for scheme in ("http://", "https://"):
        for part in answer.text.split(scheme)[1:]:
            # The last two stand in examples: nothing is asked there.
            known = ("json-schema.org", "www.w3.org", "schemas.", "jobs.example.org/v1", "app.example.com/hooks")
            assert part.startswith(known), part[:60]
