"""The links by which recipients unsubscribe: they stand in e-mails.

A link says by itself whose e-mails it ends and for which address, and it is verified before anything is looked up. It
has no end: mail is read years later.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from api.link_keys import PurposeKeys
from shared.errors import JobyardError
from shared.settings import Settings

PATH = "/v1/unsubscribe"

_PURPOSE = b"jobyard unsubscribe link, version 1"
_SIGNATURE_BYTES = 16
_OWNER_BYTES = 16


class UnsubscribeLinkNotValid(JobyardError):
    """Is raised for a link that no key of ours signed, that was changed, or whose sender is no longer here."""

    status = 404
    code = "unsubscribe_link_not_valid"
    title = "Unsubscribe link not valid"

    def __init__(self) -> None:
        super().__init__("The link is not valid.")


@dataclass(frozen=True, slots=True)
class Subscription:
    """Is what a link ends: the e-mails of an owner to an address."""

    owner_id: UUID
    address: str


class UnsubscribeLinks:
    """Makes and reads the links; signs with the first of the keys that the settings name, verifies those of all.

    The key that is made from the secret key while none is named verifies after that too.
    """

    def __init__(self, settings: Settings) -> None:
        self._keys = PurposeKeys(settings, _PURPOSE, always_derived=True)

    def url(self, base: str, owner_id: UUID, address: str) -> str:
        """Make the link by which an address unsubscribes from an owner; `base` has no slash at its end."""
        content = urlsafe_b64encode(owner_id.bytes + address.encode()).decode().rstrip("=")
        signed = f"{self._keys.first}.{content}"
        return f"{base}{PATH}/{signed}.{self._keys.sign(self._keys.first, signed, _SIGNATURE_BYTES)}"

    def read(self, token: str) -> Subscription:
        """Give what a link's last part ends; raises `UnsubscribeLinkNotValid`, whatever is wrong with it."""
        signed, _, signature = token.rpartition(".")
        key_id, _, content = signed.partition(".")
        if not self._keys.verify(key_id, signed, signature, _SIGNATURE_BYTES):
            raise UnsubscribeLinkNotValid
        decoded = urlsafe_b64decode(content + "=" * (-len(content) % 4))
        return Subscription(UUID(bytes=decoded[:_OWNER_BYTES]), decoded[_OWNER_BYTES:].decode())
