"""Files with a content to read, and requests for it."""

from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient

from tests.conftest import Owner

TEXT = b"".join(b"%07d\n" % number for number in range(125))
"""1,000 bytes, each eight of them their own."""


@dataclass(frozen=True)
class StoredFile:
    """Is a stored file, and who may read it."""

    client: TestClient
    owner: Owner
    known: dict[str, Any]

    @property
    def id(self) -> str:
        return self.known["id"]

    @property
    def path(self) -> str:
        return self.known["links"]["content"]

    def get(self, method: str = "GET", path: str | None = None, **headers: str) -> Any:
        """Ask for the content as its owner; `if_range` is the header If-Range."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path or self.path, headers=self.owner.headers | named)

    def link(self, **order: Any) -> dict[str, Any]:
        """Make a link."""
        answer = self.client.post(f"/v1/files/{self.id}/link", json=order, headers=self.owner.headers)
        assert answer.status_code == 201
        return answer.json()


def store(client: TestClient, owner: Owner, content: bytes = TEXT, name: str = "a.txt") -> StoredFile:
    """Store a file."""
    answer = client.post("/v1/files", files={"file": (name, content)}, headers=owner.headers)
    assert answer.status_code == 201
    return StoredFile(client, owner, answer.json())
