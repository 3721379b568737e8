"""The keys of signed links: named, so that they can be rotated, and of each one another for every purpose."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

from shared.settings import Settings

_DERIVED_ID = "0"


class PurposeKeys:
    """Signs for one purpose with the first of the keys that the settings name, and verifies those of all.

    No key is used for two purposes: what is signed for one is worth nothing for another. Where no key is named, one is
    made from the secret key; with `always_derived` that one goes on verifying when others are.
    """

    def __init__(self, settings: Settings, purpose: bytes, *, always_derived: bool = False) -> None:
        derived = {_DERIVED_ID: settings.secret_key.get_secret_value()}
        named = settings.named_link_keys or derived
        if always_derived:
            named = named | (derived if _DERIVED_ID not in named else {})
        self._keys = {name: hmac.digest(secret.encode(), purpose, hashlib.sha256) for name, secret in named.items()}
        self._nobodys = secrets.token_bytes(32)
        self.first = next(iter(self._keys))

    def sign(self, key_id: str, text: str, size: int = 32) -> str:
        """Give the signature of a text as URL-safe base64; `size` is in bytes."""
        key = self._keys.get(key_id, self._nobodys)
        digest = hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256)
        return urlsafe_b64encode(digest[:size]).decode().rstrip("=")

    def verify(self, key_id: str, text: str, signature: str, size: int = 32) -> bool:
        """Tell whether `sign` gave a signature. The work is the same whatever is wrong, an unknown key included."""
        expected = self.sign(key_id, text, size)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))
