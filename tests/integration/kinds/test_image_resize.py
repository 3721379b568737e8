"""Renditions of stored pictures."""

import io
from uuid import uuid4

import pytest
from PIL import Image
from pydantic import ValidationError

from shared.job_kind import JobKind
from tests.conftest import Owner
from tests.integration.kinds.conftest import Yard


def picture(width: int = 400, height: int = 300, image_format: str = "JPEG", orientation: int = 1) -> bytes:
    image = Image.new("RGB", (width, height), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, image_format, exif=exif)
    return stream.getvalue()


def test_renditions_are_files_of_the_owner(yard: Yard) -> None:
    file_id = yard.store("Straße.photo.jpeg", picture(orientation=6), "image/jpeg")
    row = yard.run("image.resize", {
        "file_id": str(file_id),
        "renditions": [{"width": 100, "height": 100}, {"width": 60, "format": "webp"}, {"height": 40, "format": "png"}],
    })  # fmt: skip
    assert row["state"] == "succeeded"
    assert row["result"]["original"] == {"width": 300, "height": 400}
    assert (row["progress_completed"], row["progress_total"]) == (3, 3)
    found = [(each["width"], each["height"], each["format"]) for each in row["result"]["renditions"]]
    assert found == [(75, 100, "jpeg"), (60, 80, "webp"), (30, 40, "png")]
    names: list[str] = []
    for each in row["result"]["renditions"]:
        file = yard.read("files", each["file_id"])
        names.append(file["name"])
        assert (file["owner_id"], file["job_id"], file["purpose"]) == (yard.owner.id, row["id"], "output")
        assert (file["media_type"], file["size"]) == (each["media_type"], each["size"])
        content = yard.path(each["file_id"]).read_bytes()
        assert len(content) == each["size"]
        with Image.open(io.BytesIO(content)) as image:
            assert (image.width, image.height, image.format) == (each["width"], each["height"], each["format"].upper())
    assert names == ["Straße.photo-75x100.jpg", "Straße.photo-60x80.webp", "Straße.photo-30x40.png"]


def test_a_long_name_stays_a_name(yard: Yard) -> None:
    file_id = yard.store("ü" * 125 + ".jpg", picture(), "image/jpeg")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]})
    name = yard.read("files", row["result"]["renditions"][0]["file_id"])["name"]
    assert name.endswith("ü-10x8.jpg")
    assert len(name.encode()) <= 255


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"this is no picture", "image_unreadable"),
        (b"", "image_unreadable"),
        (picture(image_format="PNG")[:200], "image_unreadable"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image_unreadable"),
        (picture(5000, 5000, "PNG"), "image_too_large"),
    ],
)
def test_what_cannot_be_decoded_fails_for_good(yard: Yard, content: bytes, code: str) -> None:
    yard.settings.max_image_pixels = 24_999_999
    file_id = yard.store("photo.jpg", content, "image/jpeg")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]})
    assert (row["state"], row["error"]["code"], row["attempt"]) == ("failed", code, 1)
    assert row["error"]["retryable"] is False
    assert "/" not in row["error"]["detail"]
    assert yard.blobs() == {yard.read("files", file_id)["storage_key"]}


def test_a_rendition_too_long_for_its_format(yard: Yard) -> None:
    file_id = yard.store("wide.png", picture(16_384, 4, "PNG"), "image/png")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 16_384, "format": "webp"}]})
    assert row["error"]["code"] == "rendition_too_large"


def test_a_file_or_content_that_is_gone(yard: Yard, stranger: Owner) -> None:
    theirs = yard.store("theirs.jpg", picture(), "image/jpeg", owner=stranger)
    lost = yard.store("lost.jpg", picture(), "image/jpeg")
    yard.path(lost).unlink()
    for file_id in (uuid4(), theirs, lost):
        # The API refuses the first two at once; here they are gone after it was asked.
        row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]}, file_ids=[])
        assert (row["state"], row["error"]["code"]) == ("failed", "file_not_found")


def test_cancelled_midway_leaves_nothing(yard: Yard) -> None:
    noise = io.BytesIO()
    Image.effect_noise((1300, 1300), 80).save(noise, "PNG", compress_level=1)
    file_id = yard.store("noise.png", noise.getvalue(), "image/png")
    # Ten that take a third of a second each: the request comes in during the first.
    renditions = [{"width": 1200 + step, "format": "webp"} for step in range(10)]
    with yard.on_event(1, yard.cancel):
        row = yard.run("image.resize", {"file_id": str(file_id), "renditions": renditions})
    assert row["state"] == "cancelled"
    assert yard.blobs() == {yard.read("files", file_id)["storage_key"]}
    assert yard.database.execute("SELECT count(*) FROM files").fetchone() == (1,)


@pytest.mark.parametrize(
    "renditions",
    [
        [], [{}], [{"width": 0}], [{"width": 16_385}], [{"width": 1, "quality": 101}], [{"width": 1, "format": "gif"}],
        [{"width": 1, "colour": "red"}], [{"width": 1}] * 11,
    ],
)  # fmt: skip
def test_what_is_refused_at_the_door(kinds: dict[str, JobKind], renditions: list[dict[str, int]]) -> None:
    with pytest.raises(ValidationError):
        kinds["image.resize"].input_model.model_validate({"file_id": str(uuid4()), "renditions": renditions})
