"""Who e-mails may be from: the service's own address, and those that its operator allows besides."""

from dataclasses import dataclass
from functools import lru_cache

from shared.errors import JobyardError
from shared.mail_address import Mailbox, parse_mailbox
from shared.settings import Settings


class SenderNotAllowed(JobyardError):
    """Is raised for a sender that the settings do not allow."""

    status = 422
    code = "sender_not_allowed"
    title = "Invalid input"


@dataclass(frozen=True, slots=True)
class _Allowed:
    own: Mailbox
    keys: frozenset[str]
    domains: frozenset[str]


def choose_sender(settings: Settings, asked: Mailbox | None, *, pointer: str = "/from") -> Mailbox:
    """Give the sender of an e-mail: the one that is asked for, or the service's own; raises `SenderNotAllowed`."""
    allowed = _read(settings.mail_from, tuple(settings.mail_senders))
    if asked is None:
        return allowed.own
    if asked.key not in allowed.keys and _domain(asked) not in allowed.domains:
        raise SenderNotAllowed(f"{asked.address} is none of the senders that are allowed here.", pointer=pointer)
    return asked


@lru_cache(maxsize=8)
def _read(own: str, others: tuple[str, ...]) -> _Allowed:
    mailbox = parse_mailbox(own)
    addresses = (parse_mailbox(other) for other in others if not other.startswith("@"))
    return _Allowed(
        mailbox,
        frozenset([mailbox.key, *(address.key for address in addresses)]),
        frozenset(_domain(parse_mailbox(f"x{other}")) for other in others if other.startswith("@")),
    )


def _domain(mailbox: Mailbox) -> str:
    return mailbox.wire.rpartition("@")[2].casefold()
