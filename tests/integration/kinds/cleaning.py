"""Cleaning a yard, and what there is to clean."""

from uuid import UUID, uuid4

from shared.ids import new_id
from shared.storage import part_key, upload_key
from tests.integration.kinds.conftest import Row, Yard

NOTHING: Row = {
    "expired": 0, "abandoned": 0, "orphaned": 0, "missing": 0, "missing_ids": [], "bytes_freed": 0, "dry_run": False,
    "would_delete": [],
}  # fmt: skip
_INSERT_UPLOAD = """
INSERT INTO uploads (id, owner_id, size, received, parts, expires_at)
VALUES (%s, %s, %s, %s, %s, now() + make_interval(mins => %s))
"""


def clean(yard: Yard, **options: object) -> Row:
    row = yard.run("files.clean", options)
    assert row["state"] == "succeeded", row["error"]
    return row["result"]


def add_upload(yard: Yard, *, minutes: int, parts: int = 0, received: int = 7) -> UUID:
    """Add an upload under way that expires in some minutes; its blob stands already, and its parts."""
    upload_id = new_id()
    yard.database.execute(_INSERT_UPLOAD, (upload_id, yard.owner.id, 1000, received, parts, minutes))
    yard.write(upload_key(upload_id))
    for number in range(parts):
        blob_id = uuid4()
        yard.write(part_key(upload_id, blob_id))
        values = (upload_id, number, blob_id, 6)
        yard.database.execute(
            "INSERT INTO upload_parts (upload_id, number, blob_id, size) VALUES (%s, %s, %s, %s)", values
        )
    return upload_id


def age(yard: Yard) -> None:
    """Make all files older than what may still be committed while the storage is walked."""
    yard.database.execute("UPDATE files SET created_at = created_at - interval '61 minutes'")


def key_of(yard: Yard, file_id: UUID) -> str:
    return yard.read("files", file_id)["storage_key"]


def count(yard: Yard, table: str = "files") -> int:
    row = yard.database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()  # noqa: S608 - a test's own
    assert row is not None
    return row[0]


def usage(yard: Yard) -> tuple[int, int] | None:
    return yard.database.execute(
        "SELECT files, bytes FROM storage_usage WHERE owner_id = %s", (yard.owner.id,)
    ).fetchone()  # fmt: skip
