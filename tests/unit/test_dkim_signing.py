"""Signatures hold for what was signed and for nothing else; a key that cannot sign is found out at once."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from dkim.canonicalization import Relaxed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.mail_address import make_mailbox, parse_mailbox
from shared.mail_settings import MailSettings
from tests.dkim_keys import is_valid, make_signers, pem_of
from tests.messages import ANN, ONE_LINE, make_message, write
from worker.dkim_signing import DkimKeyNotUsable, Signers, relaxed_body, relaxed_field
from worker.mail_message import Attachment, compose

ROOT = Path(__file__).resolve().parents[2]
TOO_SHORT = b"""-----BEGIN PRIVATE KEY-----
MIIB5AIBADANBgkqhkiG9w0BAQEFAASCAc4wggHKAgEAAmEAq9VMRCrdNTNGPs52
9+onbCfF975taQzBBLbeTY0gXHL14mLPasCGXCXSn8Q14cXamXwme3qg06bU8Y9i
Hyn5OgcpzdhqjHVjn7myC5Rej0hx49Tps1RvDSfYHYg5vc8vAgMBAAECYBzD4TeM
IWnVgo3jDEFmPmE5q0dU5oXub6V1Y3OCC4fOauER/3z0a8mjP0Yll4uLDk3Ae0nS
ftFYP1y3rTTKNMt3KyJxnV3a4PaIKE5nu8SmcUjYxdJx+mulIbdJrY4KAQIxAOA9
AQqfqPUqyl2QGCD6OKZ2UBXbrs0JLy3lHOtLn+GPbjc8RQ47Q3WuKOph3tdYLwIx
AMQsDtKneluf47o3wnrmAJz+ZAeiA6cmOs4pRCqezCgnD2eSfZoE61aF8yOrhvw5
AQIwcFRe9zFv9BDRevk5/Rsb0dem2qxH7pJRPg5t5DjoCJhPQABDH5P0gTkTagZJ
GVslAjAN0fDFZGkZVV1MvCrmT5fRd5aCdyZ8uxO/fGbB/efyGDZcnJReqmQN92fW
pnnfAQECMQDFws//HLRB8fVP+GIpJQFPYaqZ17+RNDNMYKfwdMdAghyjY7vwjSF7
AA9kQOqzJIU=
-----END PRIVATE KEY-----
"""


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def signers(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Signers:
    path = tmp_path_factory.mktemp("keys") / "key.pem"
    path.write_bytes(pem_of(key))
    return make_signers(path, "example.org", "bücher.example")


MESSAGES: list[dict[str, Any]] = [
    {},
    {"text": ""},
    {"text": "x\n\n\n\n"},
    {"text": ".\n..\n. x \t \n\t\n"},
    {"subject": "Grüße " * 40, "sender": make_mailbox("Jürgen, " * 20, "ann@example.org")},
    {"text": "Hi", "html": "<p>é</p>", "attachments": (Attachment("ä" * 90, "text/x", b"\0\r\n" * 99),)},
    {"headers": {"References": "<a@example.org> " * 40 + "<b@example.org>", "X-A": "b"}},
    {"unsubscribe_url": "https://example.org/" + "u" * 300, "cc": (ANN,) * 40, "reply_to": ANN},
]


@pytest.mark.parametrize("given", MESSAGES)
def test_receivers_find_the_signature_valid(signers: Signers, key: rsa.RSAPrivateKey, given: dict[str, Any]) -> None:
    content = write(**given)
    signed = signers.sign(ANN, content)
    assert signed.endswith(b"\r\n" + content)
    assert is_valid(signed, key)
    assert not is_valid(signed, rsa.generate_private_key(65537, 2048))
    assert signers.sign(ANN, content) == signed
    assert max(map(len, signed.removesuffix(content).split(b"\r\n"))) <= 78


def test_the_headers_that_matter_are_signed(signers: Signers) -> None:
    given: dict[str, Any] = {
        "cc": (ANN,),
        "reply_to": ANN,
        "headers": {"In-Reply-To": "<a@example.org>", "References": "<a@example.org>", "X-Other": "x"},
        "unsubscribe_url": "https://example.org/u",
    }
    signed = signers.sign(ANN, write(**given)).decode()
    names = re.sub(r"\s", "", signed.split(" h=")[1].split(";")[0]).split(":")
    assert names == [
        "from", "from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type",
        "content-transfer-encoding", "list-unsubscribe", "list-unsubscribe-post", "in-reply-to", "references",
    ]  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_byte_makes_it_invalid(signers: Signers, key: rsa.RSAPrivateKey, data: st.DataObject) -> None:
    content = write(html="<p>Hello Ann</p>")
    signature = signers.sign(ANN, content).removesuffix(content)
    place = data.draw(st.sampled_from([place for place, byte in enumerate(content) if chr(byte).isalnum()]))
    assert not is_valid(signature + content[:place] + b"~" + content[place + 1 :], key)


def test_an_added_sender_makes_it_invalid(signers: Signers, key: rsa.RSAPrivateKey) -> None:
    signed = signers.sign(ANN, write())
    evil = b"From: evil@example.org\r\n"
    assert is_valid(signed, key)
    assert not is_valid(evil + signed, key)
    assert not is_valid(signed.replace(b"\r\nSubject:", b"\r\n" + evil + b"Subject:"), key)


def test_the_domain_is_exactly_the_senders(signers: Signers, key: rsa.RSAPrivateKey) -> None:
    content = write()
    for address in ("ann@mail.example.org", "ann@example.com", "ann@anexample.org"):
        assert signers.sign(parse_mailbox(address), content) == content
    assert is_valid(signers.sign(parse_mailbox("ANN@EXAMPLE.ORG"), content), key)


def test_an_international_domain_signs_in_ascii(signers: Signers, key: rsa.RSAPrivateKey) -> None:
    sender = parse_mailbox("Jürgen <jürgen@bücher.example>")
    for smtputf8 in (False, True):
        signed = signers.sign(sender, compose(make_message(sender=sender, text="ü"), smtputf8=smtputf8))
        assert b"d=xn--bcher-kva.example;" in signed
        assert is_valid(signed, key, "xn--bcher-kva.example")


@settings(deadline=None, max_examples=50)
@given(lines=st.lists(st.text(" \tab.é", max_size=12), max_size=8))
@example(lines=["", " ", "\t", ""])
def test_bodies_are_read_as_dkimpy_reads_them(lines: list[str]) -> None:
    body = "".join(f"{line}\r\n" for line in lines).encode()
    assert relaxed_body(body) == Relaxed.canonicalize_body(body)


@settings(deadline=None, max_examples=50)
@given(value=st.text(" \tab:", max_size=12) | ONE_LINE)
@example(value="a \r\n\t b ")
def test_headers_are_read_as_dkimpy_reads_them(value: str) -> None:
    [(name, canonical)] = Relaxed.canonicalize_headers([(b"X-Some", value.encode() + b"\r\n")])
    assert relaxed_field(b"X-Some:" + value.encode()) == (name, name + b":" + canonical.removesuffix(b"\r\n"))


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_keys_of_both_forms_are_read(tmp_path: Path, key: rsa.RSAPrivateKey, form: PrivateFormat) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem_of(key, form))
    signers = make_signers(path, "Example.org")
    # Read once: the file may go.
    path.unlink()
    assert is_valid(signers.sign(ANN, write()), key)


def _locked(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def test_a_key_that_cannot_sign_is_named_and_never_shown(tmp_path: Path, key: rsa.RSAPrivateKey) -> None:
    path = tmp_path / "key.pem"
    elliptic = ec.generate_private_key(ec.SECP256R1())
    contents = {
        "cannot be read": None,
        "PEM": b"",
        "private key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "password": _locked(key),
        "no RSA": elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "at least 1024": TOO_SHORT,
        "is no": pem_of(key)[:900] + b"\n-----END PRIVATE KEY-----\n",
    }
    for why, content in contents.items():
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DkimKeyNotUsable, match=why) as refused:
            make_signers(path, "example.org")
        assert f"the DKIM key of example.org, {path}, " in str(refused.value)
        assert not any(line in str(refused.value) for line in (content or b"").decode().split())
    path.write_bytes(pem_of(key))
    for domain, selector in (("exa mple.org", "s1"), ("example.org", "s 1"), ("example.org", "s1; d=example.com")):
        with pytest.raises(DkimKeyNotUsable, match=r"domain|selector"):
            Signers(MailSettings.model_validate({"dkim_keys": [f"{domain}:{selector}:{path}"]}))


def test_a_worker_does_not_start_with_a_key_that_it_cannot_use(tmp_path: Path) -> None:
    key = tmp_path / "dkim.pem"
    key.write_text("no key")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "JOBYARD_DKIM_KEYS": f"example.org:s:{key}"}
    command = [sys.executable, "-m", "celery", "-A", "worker.main", "worker", "--without-gossip"]
    ended = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("JOBYARD_DKIM_KEYS: the DKIM key of example.org")
