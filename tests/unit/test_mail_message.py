"""Any content is found in a composed message as it was given, or is refused; nothing becomes a part."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.messages import ANY_TEXT, ONE_LINE, read, write
from worker.mail_message import Attachment, InlineImage

FEW = settings(max_examples=50, deadline=None)
PICTURE = InlineImage("logo@1", "logo.png", "image/png", b"\x89PNG\r\n\x1a\n")
REPORT = Attachment("report.pdf", "application/pdf", b"%PDF-1.7")


def tree_of(message: EmailMessage) -> Any:
    """Tell what a reader finds: the parts, what they are, how they are shown, what they hold."""
    if message.is_multipart():
        parts = [tree_of(part) for part in message.iter_parts() if isinstance(part, EmailMessage)]
        return message.get_content_type(), message.get_param("type"), parts
    content = message.get_content()
    if isinstance(content, str):
        content = content.replace("\r\n", "\n")
    charset, shown = message.get_content_charset(), message.get_content_disposition()
    return message.get_content_type(), charset, shown, message.get_filename(), message["Content-ID"], content


def by_the_library(text: str | None, html: str | None, images: list[InlineImage], files: list[Attachment]) -> bytes:
    message = EmailMessage(policy=SMTP)
    if text is not None:
        message.set_content(text)
    if html is not None:
        if text is None:
            message.set_content(html, subtype="html")
            page = message
        else:
            message.add_alternative(html, subtype="html")
            page = message.get_payload(1)
        assert isinstance(page, EmailMessage)
        for image in images:
            kind, subtype = image.media_type.split("/")
            cid, disposition = f"<{image.content_id}>", "inline"
            page.add_related(image.content, kind, subtype, cid=cid, disposition=disposition, filename=image.name)
        if images:
            page.set_param("type", "text/html")
    for file in files:
        kind, subtype = file.media_type.split("/")
        message.add_attachment(file.content, kind, subtype, filename=file.name)
    return message.as_bytes()


@pytest.mark.parametrize(
    ("text", "html", "images", "files"),
    [
        *product([None, "Hi Ann.\n"], ["<p>Hi Ann.</p>\n"], [[], [PICTURE]], [[], [REPORT, REPORT]]),
        ("Grüße\n" * 40, None, [], []),
        ("Hi.\n", None, [], [REPORT]),
        ("日本\n" * 9, "<p>" + "é" * 200 + "\n", [], []),
    ],
)
def test_the_parts_are_those_of_the_standard_library(
    text: str | None, html: str | None, images: list[InlineImage], files: list[Attachment]
) -> None:
    expected = message_from_bytes(by_the_library(text, html, images, files), policy=default)
    assert tree_of(read(text=text, html=html, inline_images=images, attachments=files)) == tree_of(expected)


def test_parts_are_nested_as_readers_expect() -> None:
    message = read(html="<img src='cid:logo@1'>", inline_images=[PICTURE], attachments=[REPORT])
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "application/pdf",
    ]  # fmt: skip
    assert [part.get_content_type() for part in read(text=None, html="<p>Hi").walk()] == ["text/html"]


def test_images_without_a_page_are_not_lost() -> None:
    assert [part.get_content_type() for part in read(inline_images=[PICTURE]).walk()] == [
        "multipart/mixed", "text/plain", "image/png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "7bit"),
        ("x" * 76 + "\n.\n..x\nhttps://example.com/?a=b\n", "7bit"),
        ("x" * 77, "quoted-printable"),
        ("trailing space \n", "quoted-printable"),
        ("From here on mbox files quote.", "quoted-printable"),
        ("a form feed\f here", "quoted-printable"),
        ("Grüße aus Köln, und noch viel mehr Text in lateinischer Schrift.", "quoted-printable"),
        ("日本語の文章", "base64"),
    ],
)
def test_the_encoding_suits_the_text(text: str, encoding: str) -> None:
    message = read(text=text)
    assert message["Content-Transfer-Encoding"] == encoding
    assert message["Content-Type"] == 'text/plain; charset="utf-8"'
    assert message.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert not re.search(rb"^From ", write(text=text), re.MULTILINE)


def test_equal_arguments_give_equal_bytes_and_other_messages_other_boundaries() -> None:
    given: dict[str, Any] = {"html": "<p>", "inline_images": [PICTURE], "attachments": [REPORT]}
    assert write(**given) == write(**given)

    def boundaries(content: bytes) -> list[bytes]:
        return re.findall(rb'boundary="(.+)"', content)

    first, second = boundaries(write(**given)), boundaries(write(**given, message_id="<2@example.com>"))
    assert len({*first, *second}) == 6


def test_a_text_that_knows_the_boundary_does_not_end_its_part() -> None:
    boundary = re.search(rb'boundary="(.+)"', write(html="<p>"))
    assert boundary is not None
    text = f"--{boundary[1].decode()}--\n"
    message = read(text=text, html="<p>")
    assert [part.get_content() for part in message.iter_parts()] == [text.replace("\n", "\r\n"), "<p>\r\n"]


@FEW
@given(name=ONE_LINE.filter(lambda name: name == name.strip()), content=st.binary(max_size=500))
@example(name="ä" * 255, content=b"")
@example(name="a" * 255, content=b"")
@example(name='say "=?utf-8?q?hi?=" \\', content=b"")
@example(name="it's 100%*", content=b"")
def test_files_survive(name: str, content: bytes) -> None:
    image = InlineImage("i", name, "image/png", content)
    message = read(html="<p>", attachments=(Attachment(name, "application/x-thing", content),), inline_images=(image,))
    for part in (part for part in message.walk() if part.get_content_disposition()):
        assert (part.get_filename(), part.get_payload(decode=True)) == (name, content)


@FEW
@given(content_id=ONE_LINE)
@example(content_id="logo@example.com")
def test_content_ids_survive_or_are_refused(content_id: str) -> None:
    try:
        message = read(html="<p>", inline_images=(InlineImage(content_id, "a.png", "image/png", b"x"),))
    except ValueError:
        assert not content_id.isascii() or set(content_id) & set(" <>")
        return
    [image] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert dict(image.raw_items())["Content-ID"] == f"<{content_id}>"


@FEW
@given(text=ANY_TEXT, html=ANY_TEXT)
@example(text="From x\n" + "a" * 75 + "From y\n.\n \n\n\n", html="\r\r\n\x00\x85\u2028é" * 20)
@example(text="é a" + "x" * 70 + " \nb" + "é" * 12 + "\t\n", html="a " * 200)
@example(text=("é" * 12 + "From ") * 9, html=("a" * 70 + "From ") * 9)
def test_texts_survive(text: str, html: str) -> None:
    def ended(given: str) -> str:
        lines = given.replace("\r\n", "\n").replace("\r", "\n")
        return lines if not lines or lines.endswith("\n") else f"{lines}\n"

    for message in (read(text=text, html=html), read(text=text), read(text=None, html=html)):
        for part in (part for part in message.walk() if not part.is_multipart()):
            given = html if part.get_content_subtype() == "html" else text
            assert part.get_content().replace("\r\n", "\n") == ended(given)


def test_a_message_in_a_message_is_an_opaque_file() -> None:
    inner = b"Subject: inner\r\n\r\nhi\r\n"
    for media_type in ("message/rfc822", "multipart/mixed", "text", "a/b; c=d", "x\r\ny/z"):
        [part] = read(attachments=(Attachment("m.eml", media_type, inner),)).iter_attachments()
        assert (part.get_content_type(), part.get_payload(decode=True)) == ("application/octet-stream", inner)
