"""Files as clients send them, and a look at what the storage holds."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier, Literal

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
    b"\x00\x00\x00\x0cIDATx\x9cc\xf8\xcf\xc0\x00\x00\x03\x01\x01\x00\xc9\xfe\x92\xef\x00\x00\x00\x00IEND\xaeB`\x82"
)
"""A red pixel."""

BOUNDARY = "a-boundary-of-the-tests"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def part(name: str, content: bytes, file_name: str | None = None, headers: bytes = b"") -> bytes:
    """Write one part of a form."""
    suffix = b"" if file_name is None else b'; filename="' + file_name.encode() + b'"'
    disposition = b'Content-Disposition: form-data; name="' + name.encode() + b'"' + suffix + b"\r\n"
    return b"--" + BOUNDARY.encode() + b"\r\n" + disposition + headers + b"\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Write a form of these parts."""
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"


def blobs(storage: Path) -> list[Path]:
    """List every file below the storage's directory, those still being written included."""
    return [path for path in storage.rglob("*") if path.is_file()]


def count(database: psycopg.Connection, table: str) -> int:
    """Count a table's rows."""
    row = database.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


@contextmanager
def refusing(database: psycopg.Connection, table: str, column: str, value: str) -> Generator[None, None, None]:
    """Let the database refuse rows with this value."""
    names = {"table": Identifier(table), "column": Identifier(column), "value": Literal(value)}
    database.execute(SQL("ALTER TABLE {table} ADD CONSTRAINT refused CHECK ({column} <> {value})").format(**names))
    try:
        yield
    finally:
        database.execute(SQL("ALTER TABLE {table} DROP CONSTRAINT refused").format(**names))


def pointers(answer: Any) -> list[str]:
    """Name what a problem complains about."""
    return [item["pointer"] for item in json.loads(answer.content)["errors"]]
