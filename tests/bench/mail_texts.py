"""The message that everybody sends, about 2 kB of text and page, and the requests that ask for it."""

from collections.abc import Iterator
from typing import Any

SENDER = "Bench <bench@example.com>"
SUBJECT = "Your pictures are ready"
TEXT = (
    "Hello NAME,\n\nthe pictures that you uploaded on Monday have been resized, and are ready to be downloaded.\n"
    "They are kept for thirty days; what is not needed any more can be deleted on the same page.\n\n"
    "If you did not upload any pictures, then somebody else has done so under your address: write to us, please.\n\n"
) + "Yours faithfully,\nthe people who look after your pictures, by day and by night\n" * 5
_PARAGRAPH = (
    '<p class="plain">The pictures that you uploaded on Monday have been resized, and are ready to be '
    '<a href="https://example.com/pictures">downloaded</a>. They are kept for <b>thirty days</b>.</p>\n'
)
_BODY = f"<body>\n<h1>Hello NAME,</h1>\n{_PARAGRAPH * 5}</body></html>\n"
HTML = f"<html><head><title>{SUBJECT}</title><style>.plain {{ color: #222 }}</style></head>\n{_BODY}"


def address(number: int) -> str:
    """Give a recipient's address."""
    return f"reader-{number}@example.net"


def name(number: int) -> str:
    """Give what a recipient is called in the message."""
    return f"reader {number}"


def message(number: int) -> dict[str, str]:
    """Give a recipient's texts."""
    return {
        "subject": SUBJECT,
        "text": TEXT.replace("NAME", name(number)),
        "html": HTML.replace("NAME", name(number)),
    }


def template() -> dict[str, str]:
    """Give the template of which each recipient's texts are made."""
    variable = "{{ name }}"
    return {"subject": SUBJECT, "text": TEXT.replace("NAME", variable), "html": HTML.replace("NAME", variable)}


def emails(count: int) -> Iterator[dict[str, Any]]:
    """Give so many bodies of `POST /v1/emails`."""
    for number in range(count):
        yield {"to": [address(number)]} | message(number)


def batches(count: int, size: int) -> Iterator[list[dict[str, Any]]]:
    """Give the bodies of `POST /v1/emails/batch` for so many messages."""
    every = list(emails(count))
    for start in range(0, count, size):
        yield every[start : start + size]


def mailing(template_name: str, count: int) -> dict[str, Any]:
    """Give the body of `POST /v1/mailings` for so many recipients."""
    recipients = [{"to": address(number), "variables": {"name": name(number)}} for number in range(count)]
    return {"template": template_name, "recipients": recipients}


def notifications(count: int, size: int) -> Iterator[dict[str, Any]]:
    """Give the bodies of the guide's `/send-notification`, for so many messages; the texts are the same for all."""
    for start in range(0, count, size):
        addresses = [address(number) for number in range(start, min(start + size, count))]
        yield {"to_emails": addresses} | message(start)
