"""Nothing beside the pixels gets out, and of what is asked to be kept nothing else does."""

import io

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from tests.unit.imaging_pictures import SAMPLES, corners, encoded, rendered
from worker.renditions import ImageFormat, Rendition

SECRETS = (b"SECRET-EXIF", b"SECRET-GPS", b"SECRET-XMP", b"SECRET-COMMENT", b"SECRET-TEXT")
FORMATS: tuple[ImageFormat, ...] = ("jpeg", "png", "webp", "avif")
ALL_FORMATS = [
    *(Rendition(160, None, format=each) for each in FORMATS),
    *(Rendition(50, None, format=each) for each in FORMATS),
    *(Rendition(60, 60, fit="pad", background="#ff000080", format=each) for each in FORMATS),
]
PLACES = ("exif", "xmp", "icc_profile", "comment", "dpi", "photoshop", "mp", "Author", "gamma")


def secretive(image_format: str, *, artist: str = "", rights: str = "") -> io.BytesIO:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "SECRET-EXIF"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = b"SECRET-GPS"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"SECRET-COMMENT"
    for tag, text in ((ExifTags.Base.Artist, artist), (ExifTags.Base.Copyright, rights)):
        if text:
            exif[tag] = text.encode("latin-1")
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">SECRET-XMP</x:xmpmeta>'
    options: dict[str, object] = {"exif": exif, "xmp": xmp, "dpi": (300, 300)}
    if image_format == "PNG":
        text = PngInfo()
        text.add_text("Author", "SECRET-TEXT")
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        options["pnginfo"] = text
    if image_format == "JPEG":
        options["comment"] = b"SECRET-COMMENT"
    return encoded(corners(), image_format, **options)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_no_metadata_are_left(image_format: str) -> None:
    stream = secretive(image_format, artist="SECRET-EXIF", rights="SECRET-EXIF")
    planted = [secret for secret in SECRETS if secret in stream.getvalue()]
    assert len(planted) >= 4
    for _, image, content in rendered(stream, *ALL_FORMATS):
        assert not [secret for secret in (*planted, b"Exif", b"http", b"ICC_PROFILE", b"tEXt") if secret in content]
        assert not set(PLACES) & set(image.info)


def test_a_comment_in_a_gif_is_not_kept() -> None:
    stream = encoded(corners(), "GIF", comment=b"SECRET-COMMENT")
    assert b"SECRET-COMMENT" in stream.getvalue()
    assert all(b"SECRET" not in content for _, _, content in rendered(stream, *ALL_FORMATS))


def test_the_samples_cameras_are_not_named() -> None:
    for path in SAMPLES.iterdir():
        if path.suffix in {".jpg", ".png"}:
            assert not [each for _, image, _ in rendered(path, *ALL_FORMATS) for each in PLACES if each in image.info]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_artist_and_copyright_are_kept_when_asked_and_nothing_else(image_format: str) -> None:
    stream = secretive(image_format, artist="Jane Doe", rights="© 2026 Zoë Müller")
    for _, image, content in rendered(stream, *ALL_FORMATS, keep_copyright=True):
        exif = image.getexif()
        assert dict(exif) == {ExifTags.Base.Artist: "Jane Doe", ExifTags.Base.Copyright: "© 2026 Zoë Müller"}
        assert not [secret for secret in SECRETS if secret in content]
        assert not exif.get_ifd(ExifTags.IFD.GPSInfo)
    assert not any(b"Jane" in content for _, _, content in rendered(stream, *ALL_FORMATS))


def test_where_there_is_no_copyright_there_is_no_exif() -> None:
    for stream in (secretive("JPEG"), secretive("JPEG", artist="  "), encoded(corners(), "JPEG", exif=b"Exif\0\0MM")):
        assert all("exif" not in image.info for _, image, _ in rendered(stream, *ALL_FORMATS, keep_copyright=True))
