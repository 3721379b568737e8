"""The demonstration's own checks: each is shown what it must refuse."""

import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from ops.demo import SAMPLES
from ops.demo_deliveries import check_archive, check_mail
from ops.demo_failure import DemoFailed
from ops.demo_pictures import Box, Original, check_rendition, read_originals

BOX: Box = {"width": 200, "height": 200, "format": "png"}
RECIPIENTS = ("ada@example.com", "grace@example.com")


@pytest.fixture(scope="module")
def turned() -> Original:
    return next(original for original in read_originals(SAMPLES) if original.orientation == 6)


@pytest.fixture(scope="module")
def transparent() -> Original:
    return next(original for original in read_originals(SAMPLES) if original.has_alpha)


def shrunk(image: Image.Image) -> Image.Image:
    return ImageOps.contain(image, (200, 200))


def judge(original: Original, image: Image.Image, path: Path, **options: object) -> None:
    image.save(path, "png", **options)
    check_rendition(original, BOX, path, image.size)


def test_a_good_rendition_is_accepted(turned: Original, transparent: Original, tmp_path: Path) -> None:
    judge(turned, shrunk(turned.upright), tmp_path / "one.png")
    judge(transparent, shrunk(transparent.upright), tmp_path / "other.png")


def turn(image: Image.Image) -> Image.Image:
    return image.rotate(180)


def squeeze(image: Image.Image) -> Image.Image:
    return image.resize((image.width - 2, image.height))


def cut(image: Image.Image) -> Image.Image:
    return image.crop((20, 20, image.width, image.height)).resize(image.size)


def add_alpha(image: Image.Image) -> Image.Image:
    faded = image.convert("RGBA")
    faded.putalpha(128)
    return faded


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (turn, "is turned by 180 degrees"),
        (squeeze, "is something else"),
        (cut, "does not look like its original"),
        (add_alpha, "has got transparency"),
    ],
)
def test_a_spoilt_rendition_is_refused(
    turned: Original, tmp_path: Path, spoil: Callable[[Image.Image], Image.Image], complaint: str
) -> None:
    with pytest.raises(DemoFailed, match=complaint):
        judge(turned, spoil(shrunk(turned.upright)), tmp_path / "spoilt.png")


def test_lost_transparency_is_refused(transparent: Original, tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match="has lost its transparency"):
        judge(transparent, shrunk(transparent.upright).convert("RGB"), tmp_path / "opaque.png")


def test_left_metadata_is_refused(turned: Original, tmp_path: Path) -> None:
    with Image.open(turned.path) as stored:
        exif = stored.getexif()

    with pytest.raises(DemoFailed, match="still has metadata"):
        judge(turned, shrunk(turned.upright), tmp_path / "talkative.png", exif=exif)


def test_another_format_is_refused(turned: Original, tmp_path: Path) -> None:
    image = shrunk(turned.upright)
    image.save(tmp_path / "made.png", "webp")

    with pytest.raises(DemoFailed, match="is a WEBP, not a png"):
        check_rendition(turned, BOX, tmp_path / "made.png", image.size)


def test_an_archive_of_other_files_is_refused(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_text(file.name)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(files[0], "a")
        archive.writestr("b", "something else")

    with pytest.raises(DemoFailed, match="its members are not the files"):
        check_archive(tmp_path / "all.zip", files)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("content to be damaged")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(file, "a")
    whole = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole.replace(b"content", b"kontent"))

    with pytest.raises(DemoFailed, match=r"all\.zip: .*a"):
        check_archive(tmp_path / "all.zip", [file])


@pytest.mark.parametrize(
    ("envelope", "attached", "complaint"),
    [
        ("ada@example.com", b"picture", "the envelope names ada@example.com"),
        ("ada@example.com, grace@example.com", b"other", "the attachment in"),
    ],
)
def test_a_mail_that_is_not_as_ordered_is_refused(
    tmp_path: Path, envelope: str, attached: bytes, complaint: str
) -> None:
    attachment = tmp_path / "picture.png"
    attachment.write_bytes(b"picture")
    deliver(tmp_path / "mail", envelope, attached)

    with pytest.raises(DemoFailed, match=complaint):
        check_mail(tmp_path / "mail", "hello", RECIPIENTS, attachment)


def test_a_missing_mail_is_refused(tmp_path: Path) -> None:
    deliver(tmp_path / "mail", "ada@example.com", b"picture")

    with pytest.raises(DemoFailed, match="no message with the subject 'another'"):
        check_mail(tmp_path / "mail", "another", RECIPIENTS, tmp_path / "picture.png")


def deliver(maildir: Path, envelope: str, attached: bytes) -> None:
    message = EmailMessage()
    message["Subject"] = "hello"
    message["X-RcptTo"] = envelope
    message.set_content("text")
    message.add_attachment(attached, maintype="image", subtype="png", filename="picture.png")
    for name in ("new", "cur"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new" / "1").write_bytes(message.as_bytes())
