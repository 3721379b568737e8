"""TLS with certificates that are checked, and credentials that are used and never told."""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fastapi.testclient import TestClient

from api.app import create_app
from shared.job_kind import JobKind
from shared.settings import Settings
from tests.conftest import Owner
from tests.factories import open_runner
from tests.integration.emails.conftest import Post
from tests.integration.emails.mail_server import MailServer

PASSWORD = "pass:w@rd/ü"
CREDENTIALS = "us%40er:pass%3Aw%40rd%2F%C3%BC"

Connect = Callable[..., Post]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate that signs itself, with its key, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.com")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def connect(settings: Settings, database: Any, kinds: dict[str, JobKind], owner: Owner) -> Iterator[Connect]:
    """Give a post whose worker talks to a server of the test's own."""
    ends: list[Callable[[], object]] = []

    def make(server: MailServer, scheme: str, credentials: str = "", host: str = "127.0.0.1") -> Post:
        server.start()
        ends.append(server.stop)
        url = f"{scheme}://{credentials}{'@' if credentials else ''}{host}:{server.port}"
        changed = settings.model_copy(update={"smtp_url": url})
        runner = open_runner(changed, kinds)
        client = TestClient(create_app(changed), raise_server_exceptions=False)
        ends.append(lambda: client.__exit__(None, None, None))
        ends.append(lambda: runner.__exit__(None, None, None))
        return Post(client.__enter__(), database, changed, runner.__enter__(), kinds["mail.send"], owner)

    yield make
    for end in reversed(ends):
        end()


def over_tls(scheme: str, context: ssl.SSLContext) -> MailServer:
    if scheme == "smtps":
        return MailServer(implicit_tls=context)
    return MailServer(options={"tls_context": context, "require_starttls": True})


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_a_trusted_certificate_is_accepted(
    scheme: str, connect: Connect, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = over_tls(scheme, server_tls)
    post = connect(server, scheme)
    # Large ones go in several pieces, each waited for.
    for text in ("Hi.", "Hello. " * 100_000, "Bye."):
        assert post.attempt(post.send(text=text)) == "succeeded"
    assert [len(arrived.content) > 600_000 for arrived in server.delivered] == [False, True, False]


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
def test_an_unknown_certificate_is_refused(scheme: str, connect: Connect, server_tls: ssl.SSLContext) -> None:
    server = over_tls(scheme, server_tls)
    post = connect(server, scheme)
    email = post.send()
    assert post.attempt(email) == "retrying"
    [recipient] = post.read(email)["recipients"]
    assert (recipient["state"], recipient["reply_code"]) == ("deferred", None)
    # What is wrong with it is in the log; the owner need not know.
    assert "mail.example.com" not in recipient["reply_text"]
    assert server.asked == []


def test_a_trusted_certificate_of_another_host_is_refused(
    connect: Connect, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = over_tls("smtp+starttls", server_tls)
    post = connect(server, "smtp+starttls", host="localhost")
    assert post.attempt(post.send()) == "retrying"
    assert server.asked == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+starttls"])
def test_a_connection_that_was_closed_between_two_jobs_is_replaced(
    scheme: str, connect: Connect, server_tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = MailServer() if scheme == "smtp" else over_tls(scheme, server_tls)
    post = connect(server, scheme)
    assert post.attempt(post.send()) == "succeeded"
    assert post.attempt(post.send()) == "succeeded"
    assert server.accepted == 1
    server.hang_up()
    assert post.attempt(post.send()) == "succeeded"
    assert server.accepted == 2


def test_a_server_that_hides_starttls_gets_nothing(connect: Connect) -> None:
    server = MailServer()
    post = connect(server, "smtp+starttls")
    assert post.attempt(post.send()) == "retrying"
    assert server.asked == []


def check_password(_: object, __: object, ___: object, ____: str, given: LoginPassword) -> AuthResult:
    # Not `handled`: or a refusal would be ours to write.
    return AuthResult(success=(given.login, given.password) == (b"us@er", PASSWORD.encode()), handled=False)


@pytest.mark.parametrize(
    ("credentials", "state", "delivered"),
    [
        (CREDENTIALS, "succeeded", 1),
        ("us%40er:wrong", "retrying", 0),
        # 530 answers MAIL: a refusal for good, as the server says.
        ("", "failed", 0),
    ],
)
def test_credentials_are_used_and_never_told(
    connect: Connect,
    server_tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    credentials: str,
    state: str,
    delivered: int,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = over_tls("smtp+starttls", server_tls)
    server.options |= {"authenticator": check_password, "auth_required": True}
    post = connect(server, "smtp+starttls", credentials)
    email = post.send()
    # aiosmtpd, the server, logs what it is sent.
    caplog.set_level("CRITICAL", logger="mail.log")
    with caplog.at_level("DEBUG"):
        assert post.attempt(email) == state
    for secret in ("wrong", PASSWORD, "pass%3A", "w@rd"):
        assert secret not in caplog.text
        assert secret not in str(post.job(email))
    assert len(server.delivered) == delivered
