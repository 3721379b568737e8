"""DKIM keys, and the DNS that tells receivers of them."""

import base64
from pathlib import Path

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.mail_settings import MailSettings
from worker.dkim_signing import Signers


def pem_of(key: RSAPrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def make_signers(path: Path, *domains: str) -> Signers:
    return Signers(MailSettings.model_validate({"dkim_keys": [f"{domain}:s1:{path}" for domain in domains]}))


def is_valid(content: bytes, key: RSAPrivateKey, domain: str = "example.org") -> bool:
    """Let dkimpy, which has no part in signing, verify a message as its receiver does."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    records = {f"s1._domainkey.{domain}.".encode(): b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)}

    def look_up(name: bytes, timeout: int = 5) -> bytes | None:
        assert timeout
        return records.get(name)

    return dkim.verify(content, dnsfunc=look_up)
