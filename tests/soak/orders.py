"""What the client orders: a mix of kinds, with inputs that keep each of them short."""

import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from PIL import Image

MOST_ATTEMPTS = 50
"""Faults hit the same job more than once; here none may run out of attempts."""
RECIPIENT = "soak@example.com"
_PICTURES, _TEXTS = 8, 12
_SHARES = {"test.echo": 40, "demo.countdown": 15, "archive.create": 15, "image.resize": 15, "mail.send": 15}

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """Is a request that makes one job."""

    kind: str
    path: str
    body: JSON


@dataclass(frozen=True)
class Stock:
    """Names the files that orders use."""

    pictures: Sequence[str]
    texts: Sequence[str]


def upload_stock(client: httpx2.Client) -> Stock:
    """Upload small pictures and texts, before anything is disturbed."""
    pictures = [_upload(client, f"{number}.png", "image/png", _picture(number)) for number in range(_PICTURES)]
    texts = [_upload(client, f"{number}.txt", "text/plain", b"soak\n" * (number + 1) * 50) for number in range(_TEXTS)]
    return Stock(pictures, texts)


def make_orders(stock: Stock, count: int, choice: random.Random) -> list[Order]:
    """Make a mix of orders."""
    kinds = choice.choices(list(_SHARES), list(_SHARES.values()), k=count)
    return [_make_order(kind, number, stock, choice) for number, kind in enumerate(kinds)]


def _make_order(kind: str, number: int, stock: Stock, choice: random.Random) -> Order:
    if kind == "mail.send":
        return Order(kind, "/v1/emails", {"to": [RECIPIENT], "subject": f"Soak {number}", "text": "All is well."})
    job_input: JSON
    match kind:
        case "demo.countdown":
            job_input = {"steps": choice.randint(2, 8), "step_seconds": 0.02}
        case "archive.create":
            job_input = {"file_ids": choice.sample(stock.texts, 4), "name": f"{number}.zip"}
        case "image.resize":
            job_input = {"file_id": choice.choice(stock.pictures), "renditions": [{"width": 32, "format": "webp"}]}
        case _:
            job_input = {"text": str(number)}
    return Order(kind, "/v1/jobs", {"kind": kind, "input": job_input, "max_attempts": MOST_ATTEMPTS})


def _picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (160, 120), (number * 30, 90, 160)).save(buffer, "PNG")
    return buffer.getvalue()


def _upload(client: httpx2.Client, name: str, media_type: str, content: bytes) -> str:
    answer = client.post("/v1/files", files={"file": (name, content, media_type)}).raise_for_status()
    return str(answer.json()["id"])
