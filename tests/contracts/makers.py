"""What makes something for the parameters of paths."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from fastapi.testclient import TestClient

from tests.conftest import Owner

WEBHOOK_URL = "https://app.example.com/hooks"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes what exists of an owner's: only that is answered with more than 404."""

    client: TestClient
    owner: Owner
    cancelled: Iterator[bool] = field(default_factory=lambda: cycle([False, True]))

    def post(self, path: str, **request: Any) -> Any:
        answer = self.client.post(path, headers=self.owner.headers, **request)
        assert answer.is_success
        return answer.json()

    def named(self) -> str:
        preset, template = {"renditions": [{"width": 8}]}, {"subject": "s", "text": "{{ x|default(1) }}"}
        for path, body in (("image-presets", preset), ("email-templates", template)):
            assert self.client.put(f"/v1/{path}/web", json=body, headers=self.owner.headers).is_success
        return "web"

    def job(self) -> str:
        job = self.post("/v1/jobs", json={"kind": "demo.countdown", "input": {}})
        return self.post(job["links"]["cancel"])["id"] if next(self.cancelled) else job["id"]

    def upload(self) -> str:
        headers = self.owner.headers | {"Tus-Resumable": "1.0.0", "Upload-Length": "2"}
        return self.client.post("/v1/uploads", headers=headers).headers["location"].rpartition("/")[2]

    def mailing(self) -> str:
        body = {"template": self.named(), "recipients": [{"to": "a@example.com"}]}
        return self.post("/v1/mailings", json=body)["id"]

    def webhook(self) -> str:
        for webhook in self.client.get("/v1/webhooks", headers=self.owner.headers).json()["items"]:
            assert self.client.delete(webhook["links"]["self"], headers=self.owner.headers).is_success
        return self.post("/v1/webhooks", json={"url": WEBHOOK_URL})["id"]

    def delivery(self) -> str:
        [webhook] = self.client.get("/v1/webhooks", headers=self.owner.headers).json()["items"]
        return self.post(webhook["links"]["test"])["id"]
