"""Mail addresses: what may stand in From, To, Cc and Reply-To, and how it goes over the wire."""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

LONGEST_MAILBOX = 600
_LONGEST_NAME = 200
_LINE_BREAKING = {"Cc", "Cs", "Zl", "Zp"}
_QUOTED = re.compile(r'"(?P<inside>(?:[^"\\]|\\.)*)"')


def is_one_line(text: str) -> bool:
    """Tell whether a text has nothing that any mail program takes for the end of a line, and no other control."""
    return not any(unicodedata.category(character) in _LINE_BREAKING for character in text)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """Is a mail address, with a display name or without."""

    name: str | None
    address: str
    wire: str

    @property
    def needs_smtputf8(self) -> bool:
        """Whether the part before the @ is not ASCII, which only SMTPUTF8 (RFC 6531) can carry."""
        return not self.wire.isascii()

    @property
    def key(self) -> str:
        """What two spellings of one mailbox share."""
        return address_key(self.address)

    def __str__(self) -> str:
        if self.name is None:
            return self.address
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{self.address}>'


def address_key(address: str) -> str:
    """Give what two spellings of a mailbox's `address` share; no server in use tells the cases of letters apart."""
    return address.casefold()


def make_mailbox(name: str | None, address: str) -> Mailbox:
    """Check an address (its domain is not looked up) and a display name; raises `ValueError`.

    `address` keeps an internationalised domain readable, `wire` has it in ASCII (IDNA 2008).
    """
    try:
        checked = validate_email(address.strip(" "), check_deliverability=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error
    name = name or None
    if name is not None and (not is_one_line(name) or len(name) > _LONGEST_NAME):
        raise ValueError(
            f"The name must be one line of at most {_LONGEST_NAME} characters, without control characters."
        )
    return Mailbox(name, checked.normalized, f"{checked.local_part}@{checked.ascii_domain}")


def stored_mailbox(name: str | None, address: str) -> Mailbox:
    """Make the mailbox of a row; what was checked when it was written is not again, which would take longest of all."""
    return Mailbox(name, address, address) if address.isascii() else make_mailbox(name, address)


def parse_mailbox(text: str) -> Mailbox:
    """Read `address`, `Name <address>` or `"Name" <address>`; raises `ValueError`."""
    if not is_one_line(text):
        raise ValueError("The address must be on one line, without control characters.")
    text = text.strip()
    before, opening, address = text.rpartition("<")
    if not opening or not text.endswith(">"):
        return make_mailbox(None, text)
    name = before.strip()
    if quoted := _QUOTED.fullmatch(name):
        name = re.sub(r"\\(.)", r"\1", quoted["inside"])
    return make_mailbox(name, address.removesuffix(">"))
