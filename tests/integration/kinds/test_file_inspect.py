"""What a stored file is, told from its content."""

import hashlib
import io
from uuid import uuid4

import pytest
from PIL import Image

from tests.conftest import Owner
from tests.integration.kinds.conftest import Yard


def photograph() -> bytes:
    image = Image.new("RGB", (64, 48), (10, 20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:03:29 02:30:00"
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def test_a_photograph(yard: Yard) -> None:
    content = photograph()
    # The stored name and media type are both wrong, and not believed.
    row = yard.run("file.inspect", {"file_id": str(yard.store("notes.txt", content, "text/plain"))})
    assert row["state"] == "succeeded"
    assert row["result"] == {
        "media_type": "image/jpeg",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "image": {
            "width": 48, "height": 64, "format": "jpeg", "mode": "RGB", "orientation": 6, "has_alpha": False,
            "frames": 1, "taken_at": "2026-03-29T02:30:00",
        },
    }  # fmt: skip
    assert (row["progress_completed"], row["progress_total"]) == (len(content), len(content))


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "application/x-empty"),
        ("Grüße\n".encode() * 400_000, "text/plain"),
        (photograph()[:20], "image/jpeg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"%PDF-1.7\n", "application/pdf"),
    ],
)
def test_what_is_no_readable_picture(yard: Yard, content: bytes, media_type: str) -> None:
    row = yard.run("file.inspect", {"file_id": str(yard.store("photo.jpg", content, "image/jpeg"))})
    assert row["result"] == {
        "media_type": media_type,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "image": None,
    }


def test_a_file_that_is_gone_or_another_owners(yard: Yard, stranger: Owner) -> None:
    theirs = yard.store("theirs", b"theirs", owner=stranger)
    for file_id in (uuid4(), theirs):
        row = yard.run("file.inspect", {"file_id": str(file_id)}, file_ids=[])
        assert (row["state"], row["error"]["code"]) == ("failed", "file_not_found")
