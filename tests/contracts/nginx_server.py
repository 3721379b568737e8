"""nginx as docker-compose.yml starts it, with Debian's binary: only addresses and paths differ."""

import ipaddress
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TEMPLATE = Path(__file__).resolve().parents[2] / "deploy/nginx.conf"
STOP_SECONDS = 20


@dataclass(frozen=True)
class Nginx:
    """Where a running nginx listens, and whom its TLS clients must trust."""

    http_port: int
    https_port: int
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.https_port}"

    def tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def write_self_signed_certificate(certificate: Path, private_key: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def render(values: dict[str, str]) -> str:
    """Fill the template in as envsubst does; an unknown or an unused name raises."""
    text = TEMPLATE.read_text(encoding="utf-8")
    names = set(re.findall(r"^[^#\n]*?\$\{(JOBYARD_\w+)\}", text, re.MULTILINE))
    assert names == set(values)
    return re.sub(r"\$\{(JOBYARD_\w+)\}", lambda match: values[match[1]], text)


@contextmanager
def running_nginx(upstream_port: int) -> Generator[Nginx]:
    """Run nginx in front of a loopback port, as an ordinary user, until the block ends."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "nginx (apt) is not installed"
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory(prefix="jobyard-nginx-") as name:
        folder = Path(name)
        nginx = Nginx(free_port(), free_port(), folder / "fullchain.pem")
        write_self_signed_certificate(nginx.certificate, folder / "privkey.pem")
        configuration = render(
            {
                "JOBYARD_PUBLIC_URL": nginx.url,
                "JOBYARD_NGINX_HTTP": f"127.0.0.1:{nginx.http_port}",
                "JOBYARD_NGINX_HTTPS": f"127.0.0.1:{nginx.https_port}",
                "JOBYARD_NGINX_UPSTREAM": f"127.0.0.1:{upstream_port}",
                "JOBYARD_NGINX_RESOLVER": "127.0.0.1",
                "JOBYARD_NGINX_CERTIFICATE": str(nginx.certificate),
                "JOBYARD_NGINX_CERTIFICATE_KEY": str(folder / "privkey.pem"),
                "JOBYARD_NGINX_RUN": str(folder),
            }
        )
        (folder / "nginx.conf").write_text(configuration, encoding="utf-8")
        for path in (folder, *folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        with _started(program, folder, nobody):
            yield nginx


@contextmanager
def _started(program: str, folder: Path, user: pwd.struct_passwd) -> Generator[None]:
    reader, writer = os.pipe()
    os.fchown(writer, user.pw_uid, user.pw_gid)  # nginx opens /dev/stderr and /dev/stdout by name
    command = [program, "-e", "stderr", "-c", str(folder / "nginx.conf")]
    # The second error log, at level notice, tells when the listening sockets are there.
    command += ["-g", "daemon off; error_log stderr notice;"]
    with (
        os.fdopen(reader, encoding="utf-8") as log,
        subprocess.Popen(
            command, stdout=writer, stderr=writer, user=user.pw_uid, group=user.pw_gid, extra_groups=[]
        ) as server,
    ):
        os.close(writer)
        seen: list[str] = []
        for line in log:
            seen.append(line)
            if "start worker process " in line:
                break
        else:
            raise AssertionError("nginx did not start:\n" + "".join(seen))
        try:
            yield
        finally:
            server.terminate()
            server.wait(STOP_SECONDS)
