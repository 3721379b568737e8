"""The conversations of docs/streams.md, held as they stand there, one after the other on one connection."""

import json
import re
from datetime import datetime
from typing import Any

from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from api.web_socket_messages import ServerMessage
from api.web_socket_sending import CODES
from ops.paths import ROOT
from tests.conftest import Owner
from tests.integration.web_socket.conftest import talking, token_of

PAGE = (ROOT / "docs/streams.md").read_text()
LINES = [
    line for block in re.findall(r"```conversation\n(.*?)```", PAGE, re.DOTALL) for line in block.strip().splitlines()
]
SAID = "Maintenance begins in ten minutes."
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_server_messages: TypeAdapter[Any] = TypeAdapter(ServerMessage)


def agrees(example: Any, real: Any) -> bool:
    """Tell whether what came has all that the example has; any moment stands for any other."""
    if isinstance(example, dict):
        return all(name in real and agrees(value, real[name]) for name, value in example.items())
    if isinstance(example, list):
        return len(example) == len(real) and all(map(agrees, example, real))
    if isinstance(example, str) and _MOMENT.fullmatch(example):
        return datetime.fromisoformat(real).tzinfo is not None
    return example == real


def test_every_conversation_goes_as_the_page_says(client: TestClient, owner: Owner, operator: Owner) -> None:
    job = client.post("/v1/jobs", json={"kind": "test.echo", "input": {}}, headers=owner.headers).json()
    path = "/v1/admin/broadcast"
    # What others do meanwhile, when the line that tells of it is near.
    others = {
        "broadcast": lambda: client.post(path, json={"message": SAID}, headers=operator.headers),
        "cancelled": lambda: client.post(job["links"]["cancel"], headers=owner.headers),
    }
    heard = set[str]()
    with talking(client, None) as talk:
        for line in LINES:
            direction, _, text = line.partition(" ")
            text = text.replace('"JOB"', f'"{job["id"]}"').replace('"TOKEN"', f'"{token_of(owner)}"')
            if direction == "→":
                talk.session.send_text(text)
                continue
            example = json.loads(text)
            for name, act in others.items():
                if name in text:
                    assert act().is_success
            real = talk.receive()
            assert agrees(example, real), (example, real)
            _server_messages.validate_python(real)
            heard.add(real["event"])
        assert talk.ask(action="ping")["event"] == "pong"

    assert heard == {"ready", "subscribed", "unsubscribed", "job", "error", "pong", "broadcast"}


def test_the_page_names_every_reason_with_its_code() -> None:
    named = re.findall(r"^\| `(\w+)` \| (\d{4}) \|", PAGE, re.MULTILINE)

    assert {reason: int(code) for reason, code in named} == CODES
