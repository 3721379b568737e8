"""What a mail server says of a recipient, and what it means (RFC 5321, RFC 3463)."""

import re
from dataclasses import dataclass

from aiosmtplib import SMTPResponse, SMTPResponseException

_FIRST_FAILURE = 400
_FIRST_REFUSAL = 500
_LAST_CODE = 599
_CLOSING = 421
_LONGEST_TEXT = 500
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")

# 5.1.7 and 5.1.8 are about the sender's address.
_BAD_ADDRESS = re.compile(r"5\.1\.(?!7$|8$)\d+|5\.2\.1")
_BAD_ADDRESS_CODES = frozenset({550, 551, 553})


@dataclass(frozen=True, slots=True)
class Reply:
    """Is the last word on a recipient: the server's, or without a code our own.

    `about_address` says that it answered the naming of just this recipient.
    """

    code: int | None
    enhanced: str | None
    text: str
    about_address: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the server took it."""
        return self.code is not None and self.code < _FIRST_FAILURE

    @property
    def refused(self) -> bool:
        """Whether asking again is useless (5xx); 4xx is neither this nor `accepted`."""
        return self.code is not None and self.code >= _FIRST_REFUSAL

    @property
    def hard_bounce(self) -> bool:
        """Whether the address itself is bad, so that it should not be written to again.

        Not what a policy (5.7), a full mailbox (5.2.2) or the message is refused for.
        """
        if not (self.about_address and self.refused):
            return False
        if self.enhanced is None:
            return self.code in _BAD_ADDRESS_CODES
        return _BAD_ADDRESS.fullmatch(self.enhanced) is not None


NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "The mail server does not offer SMTPUTF8, which the address needs.")


def read_reply(answer: SMTPResponse | SMTPResponseException, *, about_address: bool = False) -> Reply:
    """Read a server's reply: its lines joined, without what PostgreSQL cannot store, cut to 500 characters."""
    text = _clean(answer.message)
    enhanced = _ENHANCED.match(text)
    lines = [line.removeprefix(enhanced[1]).lstrip() if enhanced else line for line in text.split("\n")]
    shown = "\n".join(lines).strip()[:_LONGEST_TEXT]
    return Reply(answer.code, enhanced[1] if enhanced else None, shown, about_address)


def own_reply(text: str) -> Reply:
    """Say something of a recipient ourselves."""
    return Reply(None, None, _clean(text)[:_LONGEST_TEXT])


def _clean(text: str) -> str:
    # Neither NUL nor the surrogates that stand for broken UTF-8.
    return text.encode("utf-8", "replace").decode().replace("\0", "")


def is_answer(code: int) -> bool:
    """Tell whether a code says yes or no to what was asked, and does not end the conversation."""
    return 200 <= code < 300 or (_FIRST_FAILURE <= code <= _LAST_CODE and code != _CLOSING)  # noqa: PLR2004 - RFC 5321, 4.2.1
