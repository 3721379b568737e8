"""Rows of files, written by SQL: expired ones by the million, a few with blobs, and single new ones."""

from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection

from shared.ids import new_id
from shared.storage import upload_key

_CONTENT = b"expired"
_FILL = """
INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)
SELECT id, %(owner)s, 'expired.txt', 'text/plain', %(size)s, '', 'uploads/' || right(id::text, 2) || '/' || id,
       'upload', now() - interval '30 days' + number * interval '1 ms'
FROM (SELECT uuidv7() AS id, number FROM generate_series(1, %(count)s) AS number) AS made
"""
# Evenly spread, so that every batch meets some.
_SOME = """
SELECT storage_key FROM (SELECT storage_key, row_number() OVER (ORDER BY expires_at) AS number FROM files) AS numbered
WHERE number %% %(every)s = 0
"""
_INSERT = """
INSERT INTO files (id, owner_id, name, media_type, size, sha256, storage_key, purpose, expires_at)
VALUES (%(id)s, %(owner)s, 'new.txt', 'text/plain', 0, '', %(key)s, 'upload', now() + interval '30 days')
"""


def add_expired_files(connection: Connection[Any], owner: UUID, count: int, blobs: int, storage: Path) -> None:
    """Add rows of expired files; so many of them get a blob in the directory of a local storage."""
    connection.execute(_FILL, {"owner": owner, "count": count, "size": len(_CONTENT)})
    connection.execute("VACUUM (ANALYZE) files")
    for (key,) in connection.execute(_SOME, {"every": count // blobs}).fetchall():
        path = storage / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_CONTENT)


def add_new_file(connection: Connection[Any], owner: UUID) -> None:
    """Add the row of a file that stays."""
    file_id = new_id()
    connection.execute(_INSERT, {"id": file_id, "owner": owner, "key": upload_key(file_id)}, prepare=True)
