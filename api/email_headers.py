"""The headers that a client may add to an e-mail: an allow-list, whatever else a message has is ours to write."""

import re
from collections.abc import Container
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.mail_address import is_one_line

MOST_HEADERS = 20
LONGEST_LINE = 998
"""Characters of a header, its name, the colon and the space included (RFC 5322, section 2.1.1)."""

_ANY = re.compile(r".+", re.DOTALL)
_ASCII = re.compile(r"[ -~]+")
_MESSAGE_IDS = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>(?: <[!-;=?A-~]+@[!-;=?A-~]+>)*")
_URLS = re.compile(r"<(?:https?|mailto):[!-;=?-~]+>(?:, ?<(?:https?|mailto):[!-;=?-~]+>)*")

_ALLOWED = {
    "in-reply-to": _MESSAGE_IDS,
    "references": _MESSAGE_IDS,
    "list-id": _ASCII,
    "list-help": _URLS,
    "list-unsubscribe": _URLS,
    "list-unsubscribe-post": re.compile(r"List-Unsubscribe=One-Click"),
    "list-subscribe": _URLS,
    "list-post": re.compile(rf"NO|{_URLS.pattern}"),
    "list-owner": _URLS,
    "list-archive": _URLS,
    "auto-submitted": re.compile(r"[a-z]+(?:-[a-z]+)*", re.IGNORECASE),
    "precedence": re.compile(r"bulk|list|junk", re.IGNORECASE),
    "importance": re.compile(r"low|normal|high", re.IGNORECASE),
    "priority": re.compile(r"non-urgent|normal|urgent", re.IGNORECASE),
    "sensitivity": re.compile(r"personal|private|company-confidential", re.IGNORECASE),
    "feedback-id": _ASCII,
    "comments": _ANY,
    "keywords": _ANY,
    "organization": _ANY,
    "user-agent": _ASCII,
}
_EXTENSION = re.compile(r"x-[!-9;-~]{1,68}")
_NOT_ALLOWED = (
    # What mail servers say of the envelope and of where a message came from.
    "x-envelope", "x-original-", "x-originating-", "x-delivered-", "x-received", "x-sender", "x-mailfrom", "x-rcptto",
    "x-peer", "x-forwarded-", "x-authenticat", "x-spam", "x-virus", "x-google-", "x-gm-",
    "x-dkim", "x-domainkeys", "x-failed-recipients",
    # What relays take for orders: other recipients, another sender.
    "x-smtpapi", "x-sg-", "x-mc-", "x-mailgun-", "x-ses-", "x-msys-", "x-mj-", "x-mailjet-", "x-pm-", "x-sib-",
    "x-cmail-", "x-elastic", "x-campaign-api", "x-ms-exchange-", "x-forefront-",
)  # fmt: skip


_SYNTAX = {
    _MESSAGE_IDS: "Should be message ids in angle brackets, separated by spaces",
    _URLS: "Should be URLs in angle brackets, separated by commas",
    _ASCII: "Should be of printable ASCII",
}


def check_header(name: str, value: str, before: Container[str] = ()) -> None:
    """Raise `PydanticCustomError` for a header that may not be added, or have this value, or come after these names."""
    rule = _rule(name.lower())
    if rule is None:
        raise PydanticCustomError("header_not_allowed", "Is not among the headers that can be added")
    if name.lower() in before:
        raise PydanticCustomError("header_given_twice", "Is given twice: the case of its letters does not count")
    if not is_one_line(value):
        raise PydanticCustomError("header_not_one_line", "Should be one line, without control characters")
    if not value.strip(" "):
        raise PydanticCustomError("header_empty", "Should not be empty")
    if len(f"{name}: {value}") > LONGEST_LINE:
        raise PydanticCustomError(
            "header_too_long", "Should have at most {most} characters with its name", {"most": LONGEST_LINE}
        )
    if not rule.fullmatch(value):
        raise PydanticCustomError(
            "header_malformed", "{expected}", {"expected": _SYNTAX.get(rule, "Is not a value of this header")}
        )


def _rule(lowered: str) -> re.Pattern[str] | None:
    if lowered.startswith("x-"):
        return _ANY if _EXTENSION.fullmatch(lowered) and not lowered.startswith(_NOT_ALLOWED) else None
    return _ALLOWED.get(lowered)


def _check(headers: dict[str, str]) -> dict[str, str]:
    wrong: list[InitErrorDetails] = []
    seen: set[str] = set()
    for name, value in headers.items():
        try:
            check_header(name, value, seen)
        except PydanticCustomError as error:
            wrong.append(InitErrorDetails(type=error, loc=(name,), input=value))
        seen.add(name.lower())
    if wrong:
        raise ValidationError.from_exception_data("headers", wrong)
    return headers


Headers = Annotated[
    dict[str, str],
    Field(
        max_length=MOST_HEADERS,
        description=(
            "Further headers: `In-Reply-To`, `References`, `Auto-Submitted`, `Precedence`, `Importance`, `Priority`, "
            "`Sensitivity`, `Feedback-ID`, `Comments`, `Keywords`, `Organization`, `User-Agent`, those of RFC 2369 and "
            "2919 (`List-Id`, `List-Unsubscribe`, …), and any `X-…` that no mail server takes for its own or for an "
            f"order. Each is one line of at most {LONGEST_LINE} characters, its name included."
        ),
        examples=[{"In-Reply-To": "<4711@example.com>", "X-Order": "4711"}],
    ),
    AfterValidator(_check),
]
"""Headers by name, each once; a wrong one is named by the error."""
