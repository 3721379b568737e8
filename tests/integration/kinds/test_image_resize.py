"""Renditions of stored pictures."""

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from shared.job_queue import READY_CHANNEL
from tests import factories
from tests.conftest import Owner
from tests.integration.files.bodies import count
from tests.integration.kinds.conftest import Yard
from tests.unit.imaging_pictures import BLUE, GREEN, RED, YELLOW, corners, encoded, reread


def picture(width: int = 400, height: int = 300, image_format: str = "JPEG", orientation: int = 1) -> bytes:
    image = Image.new("RGB", (width, height), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, image_format, exif=exif)
    return stream.getvalue()


def animation(frames: int) -> bytes:
    first, *others = [Image.new("RGB", (20, 10), colour) for colour in (RED, GREEN, BLUE)[:frames]]
    return encoded(first, "GIF", save_all=True, append_images=others, duration=40).getvalue()


def content(yard: Yard, made: dict[str, Any]) -> bytes:
    return yard.path(made["file_id"]).read_bytes()


def near(yard: Yard, made: dict[str, Any], place: tuple[int, int], colour: tuple[int, ...]) -> bool:
    found = reread(content(yard, made)).convert("RGBA").getpixel(place)
    assert isinstance(found, tuple)
    return all(abs(one - other) <= 12 for one, other in zip(found, (*colour, 255)[:4], strict=True))


def test_renditions_are_files_of_the_owner(yard: Yard) -> None:
    file_id = yard.store("Straße.photo.jpeg", picture(orientation=6), "image/jpeg")
    row = yard.run("image.resize", {
        "file_id": str(file_id),
        "renditions": [{"width": 100, "height": 100}, {"width": 60, "format": "webp"}, {"height": 40, "format": "png"}],
    })  # fmt: skip
    assert row["state"] == "succeeded"
    result = row["result"]
    assert result["original"] == {"width": 300, "height": 400, "format": "jpeg", "frames": 1}
    assert (result["poster"], result["partial"]) == (False, False)
    assert [(each["index"], each["error"]) for each in result["renditions"]] == [(0, None), (1, None), (2, None)]
    assert (row["progress_completed"], row["progress_total"]) == (3, 3)
    found = [(each["width"], each["height"], each["format"]) for each in row["result"]["renditions"]]
    assert found == [(75, 100, "jpeg"), (60, 80, "webp"), (30, 40, "png")]
    names: list[str] = []
    for each in row["result"]["renditions"]:
        file = yard.read("files", each["file_id"])
        names.append(file["name"])
        assert (file["owner_id"], file["job_id"], file["purpose"]) == (yard.owner.id, row["id"], "output")
        assert (file["media_type"], file["size"]) == (each["media_type"], each["size"])
        assert each["link"] == f"/v1/files/{each['file_id']}/content"
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


NOISE = encoded(Image.effect_noise((64, 64), 80), "JPEG").getvalue()
REFUSED: list[tuple[bytes, dict[str, int], str]] = [
    (b"this is no picture", {}, "image_unreadable"),
    (b"", {}, "image_unreadable"),
    (picture(image_format="PNG")[:200], {}, "image_unreadable"),
    (NOISE[:2_000], {}, "image_unreadable"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {}, "image_unreadable"),
    (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", {}, "image_unreadable"),
    (b"<!doctype html><p>words", {}, "image_unreadable"),
    (picture(64, 64), {"max_image_pixels": 64 * 64 - 1}, "image_too_large"),
    (NOISE, {"max_image_bytes": len(NOISE) - 1}, "image_file_too_large"),
    (animation(3), {"max_image_frames": 2}, "image_too_many_frames"),
    (encoded(corners(), "JPEG", progressive=True).getvalue(), {"max_image_scans": 2}, "image_too_many_scans"),
    (
        encoded(corners(), "JPEG", comment=b"x" * 200).getvalue(),
        {"max_image_metadata_bytes": 100},
        "image_metadata_too_large",
    ),
    (picture(64, 64), {"max_image_output_pixels": 99}, "rendition_too_large"),
]


@pytest.mark.parametrize(("stored", "limits", "code"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_made_fails_for_good(yard: Yard, stored: bytes, limits: dict[str, int], code: str) -> None:
    for name, value in limits.items():
        setattr(yard.settings, name, value)
    file_id = yard.store("photo.jpg", stored, "image/jpeg", size=1)
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]})
    assert (row["state"], row["error"]["code"], row["attempt"]) == ("failed", code, 1)
    assert row["error"]["retryable"] is False
    assert "/" not in row["error"]["detail"]
    assert yard.blobs() == {yard.read("files", file_id)["storage_key"]}
    assert count(yard.database, "files") == 1


WIDE = {"width": 16_384, "format": "webp"}


def test_a_rendition_fails_alone(yard: Yard) -> None:
    file_id = yard.store("wide.png", picture(16_384, 4, "PNG"), "image/png")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [WIDE, {"width": 8}, {"height": 2}]})
    assert (row["state"], row["result"]["partial"]) == ("succeeded", True)
    failed, *made = row["result"]["renditions"]
    error = failed.pop("error")
    assert (error["code"], error["detail"][-1]) == ("rendition_too_large", ".")
    assert (failed.pop("index"), set(failed.values())) == (0, {None})
    assert [(each["index"], each["error"], each["width"]) for each in made] == [(1, None, 8), (2, None, 8_192)]
    kept = {yard.read("files", each["file_id"])["storage_key"] for each in made}
    assert yard.blobs() == kept | {yard.read("files", file_id)["storage_key"]}
    assert count(yard.database, "files") == 3


def test_when_all_fail_the_job_does(yard: Yard) -> None:
    file_id = yard.store("wide.png", picture(16_384, 4, "PNG"), "image/png")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [WIDE, WIDE]})
    assert (row["state"], row["attempt"], row["result"]) == ("failed", 1, None)
    assert (row["error"]["code"], row["error"]["retryable"]) == ("rendition_too_large", False)
    assert yard.blobs() == {yard.read("files", file_id)["storage_key"]}
    assert count(yard.database, "files") == 1


def test_each_rendition_is_made_as_it_says(yard: Yard) -> None:
    file_id = yard.store("corners.png", encoded(corners(160, 100), "PNG").getvalue(), "image/png")
    row = yard.run("image.resize", {
        "file_id": str(file_id),
        "renditions": [
            {"width": 40, "height": 40, "fit": "cover", "gravity": "southeast", "format": "png"},
            {"width": 100, "height": 100, "fit": "pad", "format": "png", "background": "#0000ff80"},
            {"width": 30, "height": 90, "fit": "exact", "format": "png"},
            {"width": 320, "enlarge": True, "format": "png"},
            {"width": 320, "format": "avif"},
            {"width": 80, "format": "jpeg", "progressive": True, "quality": 95},
            {"width": 80, "format": "jpeg", "quality": 1},
        ],
    })  # fmt: skip
    cover, pad, exact, enlarged, avif, fine, coarse = row["result"]["renditions"]
    sizes = [(each["width"], each["height"]) for each in row["result"]["renditions"]]
    assert sizes == [(40, 40), (100, 100), (30, 90), (320, 200), (160, 100), (80, 50), (80, 50)]
    assert near(yard, cover, (10, 20), YELLOW)
    assert near(yard, pad, (50, 5), (0, 0, 255, 128))
    assert near(yard, exact, (25, 10), GREEN)
    assert near(yard, enlarged, (40, 150), BLUE)
    assert (avif["format"], avif["media_type"]) == ("avif", "image/avif")
    assert near(yard, avif, (40, 20), RED)
    assert ["progressive" in reread(content(yard, each)).info for each in (fine, coarse)] == [True, False]
    assert fine["size"] > coarse["size"]


def test_of_an_animation_the_poster_is_used(yard: Yard) -> None:
    file_id = yard.store("dance.gif", animation(3), "image/gif")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]})
    assert row["result"]["poster"] is True
    assert row["result"]["original"] == {"width": 20, "height": 10, "format": "gif", "frames": 3}
    [made] = row["result"]["renditions"]
    assert (made["format"], yard.read("files", made["file_id"])["name"]) == ("png", "dance-10x5.png")
    assert near(yard, made, (5, 2), RED)


def test_copyright_is_kept_when_asked_and_nothing_else(yard: Yard) -> None:
    exif = Image.Exif()
    exif.update({0x010F: "Camera", 0x013B: "Ann", 0x8298: "2026 Ann"})
    file_id = yard.store("a.jpg", encoded(corners(), "JPEG", exif=exif).getvalue(), "image/jpeg")
    order = {"file_id": str(file_id), "renditions": [{"width": 10, "format": "jpeg"}]}
    found: list[dict[int, str]] = []
    for keep_copyright in (True, False):
        row = yard.run("image.resize", order | {"keep_copyright": keep_copyright})
        found.append(dict(reread(content(yard, row["result"]["renditions"][0])).getexif()))
    assert found == [{0x013B: "Ann", 0x8298: "2026 Ann"}, {}]


def test_operators_may_let_in_more_metadata(yard: Yard) -> None:
    yard.settings.max_image_metadata_bytes = 17 * 1024 * 1024
    app_segment = b"\xff\xe5\xff\xff" + bytes(0xFFFD)
    file_id = yard.store("a.jpg", NOISE[:2] + app_segment * 260 + NOISE[2:], "image/jpeg")
    row = yard.run("image.resize", {"file_id": str(file_id), "renditions": [{"width": 10}]})
    assert (row["state"], row["result"]["renditions"][0]["width"]) == ("succeeded", 10)


def test_one_round_trip(yard: Yard, client: TestClient) -> None:
    sent: dict[str, Any] = {
        "files": {"file": ("corners.png", encoded(corners(), "PNG").getvalue())},
        "data": {"width": "8"},
    }
    headers = yard.owner.headers | {"Prefer": "wait=30"}
    with psycopg.connect(yard.settings.database_url, autocommit=True) as listening, ThreadPoolExecutor(1) as pool:
        listening.execute(f"LISTEN {READY_CHANNEL}")
        pending = pool.submit(client.post, "/v1/images", headers=headers, **sent)
        assert next(listening.notifies(timeout=30), None) is not None
        [(job_id,)] = listening.execute("SELECT id FROM jobs").fetchall()
        assert factories.run_job(yard.runner, yard.database, yard.kinds["image.resize"], job_id) == "succeeded"
        answer = pending.result(30)
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    [made] = answer.json()["result"]["renditions"]
    downloaded = client.get(made["link"], headers=yard.owner.headers)
    assert (downloaded.headers["content-type"], len(downloaded.content)) == ("image/png", made["size"])


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
