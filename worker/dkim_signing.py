"""Signing messages (DKIM, RFC 6376) with the key of the sender's domain: see docs/decisions/0011-dkim.md."""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.mail_address import Mailbox, make_mailbox
from shared.mail_settings import DkimKey, MailSettings

_LEAST_BITS = 1024
_LINE = 72
_SIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post", b"in-reply-to", b"references",
)  # fmt: skip
_NAMES_A_LINE = 4
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_SPACES = re.compile(rb"[ \t]+")
_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class DkimKeyNotUsable(RuntimeError):
    """Is raised for a key that cannot sign; names its domain and file, and is for operators alone."""


@dataclass(frozen=True, slots=True)
class _Signer:
    domain: str
    selector: str
    key: RSAPrivateKey

    def sign(self, content: bytes) -> bytes:
        head, _, body = content.partition(b"\r\n\r\n")
        canonical = {name: line for name, line in map(relaxed_field, _FIELD_END.split(head)) if name in _SIGNED}
        # `from` once more than it is there: a second one that somebody adds makes the signature invalid.
        names = [b"from", *(name for name in _SIGNED if name in canonical)]
        unsigned = self._field(names, hashlib.sha256(relaxed_body(body)).digest())
        signed = b"".join([canonical[name] + b"\r\n" for name in names[1:]]) + relaxed_field(unsigned)[1]
        signature = base64.b64encode(self.key.sign(signed, PKCS1v15(), SHA256()))
        lines = [signature[start : start + _LINE] for start in range(0, len(signature), _LINE)]
        return b"\r\n ".join([unsigned, *lines]) + b"\r\n" + content

    def _field(self, names: list[bytes], digest: bytes) -> bytes:
        """Write the field as far as its signature; it has no time, so that a repeat is the same message."""
        lines = [b":".join(names[start : start + _NAMES_A_LINE]) for start in range(0, len(names), _NAMES_A_LINE)]
        return (
            b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=%s;\r\n s=%s;\r\n h=%s;\r\n bh=%s;\r\n b="
        ) % (self.domain.encode(), self.selector.encode(), b":\r\n ".join(lines), base64.b64encode(digest))


def relaxed_field(field: bytes) -> tuple[bytes, bytes]:
    """Make the name and the line of a header field as they are signed (RFC 6376, section 3.4.2)."""
    name, _, value = field.partition(b":")
    name = name.lower()
    return name, name + b":" + _SPACES.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """Make the body as it is signed (RFC 6376, section 3.4.4)."""
    lines = _SPACES.sub(b" ", body).replace(b" \r\n", b"\r\n").rstrip(b"\r\n")
    return lines + b"\r\n" if lines else b""


class Signers:
    """Holds the keys of the settings, each read and checked once; making this raises `DkimKeyNotUsable`."""

    def __init__(self, settings: MailSettings) -> None:
        signers = [_read(key) for key in settings.dkim.values()]
        self._signers = {signer.domain: signer for signer in signers}

    def sign(self, sender: Mailbox, content: bytes) -> bytes:
        """Sign a composed message if the sender's domain, exactly, has a key; equal arguments give equal bytes."""
        signer = self._signers.get(_domain(sender))
        return content if signer is None else signer.sign(content)


def _domain(mailbox: Mailbox) -> str:
    return mailbox.wire.rpartition("@")[2].lower()


def _read(setting: DkimKey) -> _Signer:
    def unusable(why: str) -> DkimKeyNotUsable:
        return DkimKeyNotUsable(f"the DKIM key of {setting.domain}, {setting.path}, {why}")

    try:
        domain = _domain(make_mailbox(None, f"postmaster@{setting.domain}"))
    except ValueError:
        raise unusable("is not for a domain") from None
    if not _SELECTOR.fullmatch(setting.selector):
        raise unusable("has a selector that is no name of the DNS")
    try:
        pem = setting.path.read_bytes()
    except OSError as error:
        raise unusable(f"cannot be read: {error.strerror}") from None
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's text may repeat a part of the file.
        raise unusable(f"is no private key in PEM without a password ({type(error).__name__})") from None
    if not isinstance(key, RSAPrivateKey):
        raise unusable("is no RSA key, the only ones that every receiver can check")
    if key.key_size < _LEAST_BITS:
        raise unusable(f"has {key.key_size} bits; at least {_LEAST_BITS} are needed")
    return _Signer(domain, setting.selector, key)
