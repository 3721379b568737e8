"""Signing messages (DKIM, RFC 6376) with the key of the sender's domain: see docs/decisions/0011-dkim.md."""

import base64
import hashlib
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim.canonicalization import CanonicalizationPolicy

from shared.mail_address import Mailbox, make_mailbox
from shared.mail_settings import DkimKey, MailSettings

_LEAST_BITS = 1024
_LINE = 72
_SIGNED = (
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post", b"in-reply-to", b"references",
)  # fmt: skip
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
_RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")


class DkimKeyNotUsable(RuntimeError):
    """Is raised for a key that cannot sign; names its domain and file, and is for operators alone."""


@dataclass(frozen=True, slots=True)
class _Signer:
    domain: str
    selector: str
    key: RSAPrivateKey

    def sign(self, content: bytes) -> bytes:
        head, _, body = content.partition(b"\r\n\r\n")
        fields = {name.lower(): (name, value) for name, _, value in _split(head)}
        names = [name for name in _SIGNED if name in fields]
        digest = hashlib.sha256(_RELAXED.canonicalize_body(body)).digest()
        # `from` once more than it is there: a second one that somebody adds makes the signature invalid.
        unsigned = _signature_field(self.domain, self.selector, b":".join([b"from", *names]).decode(), digest)
        canonical = _RELAXED.canonicalize_headers([*(fields[name] for name in names), (b"dkim-signature", unsigned)])
        signed = b"".join(name + b":" + value for name, value in canonical).removesuffix(b"\r\n")
        signature = base64.b64encode(self.key.sign(signed, PKCS1v15(), SHA256()))
        lines = b"".join(b"\r\n " + signature[start : start + _LINE] for start in range(0, len(signature), _LINE))
        return b"DKIM-Signature:" + unsigned + lines + b"\r\n" + content


def _signature_field(domain: str, selector: str, names: str, digest: bytes) -> bytes:
    """Write the field's value as far as its signature; without a time, so that a repeat is the same message."""
    folded = names.replace(":list", ":\r\n list").replace(":mime", ":\r\n mime")
    return (
        f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n s={selector};\r\n"
        f" h={folded};\r\n bh={base64.b64encode(digest).decode()};\r\n b="
    ).encode()


def _split(head: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [field.partition(b":") for field in _FIELD_END.split(head)]


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
    try:
        pem = setting.path.read_bytes()
    except OSError as error:
        raise unusable(f"cannot be read: {error.strerror}") from None
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        # The library's text may repeat a part of the file.
        raise unusable(f"is no private key in PEM without a password ({type(error).__name__})") from None
    if not isinstance(key, RSAPrivateKey):
        raise unusable("is no RSA key, the only ones that every receiver can check")
    if key.key_size < _LEAST_BITS:
        raise unusable(f"has {key.key_size} bits; at least {_LEAST_BITS} are needed")
    return _Signer(domain, setting.selector, key)
