import mailbox
import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

from ops.paths import ROOT
from ops.ports import free_port


def start(port: int, directory: Path | str) -> subprocess.Popen[str]:
    environment = {**os.environ, "SMTP_URL": f"smtp://127.0.0.1:{port}", "JOBYARD_MAILBOX_DIR": str(directory)}
    command = [sys.executable, "-m", "ops.mailbox"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_mail_is_delivered_into_the_maildir_and_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    port = free_port()
    with start(port, tmp_path / "mail") as server:
        assert server.stdout is not None
        assert server.stdout.readline() == f"mail for 127.0.0.1:{port} goes to {tmp_path / 'mail'}\n"
        letter = EmailMessage()
        letter["Subject"], letter["From"], letter["To"] = "Grüße", "a@example.com", "b@example.com"
        letter.set_content("Hello")
        letter.add_attachment(b"\x00\xff" * 10_000, maintype="image", subtype="png", filename="a.png")
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.send_message(letter, to_addrs=["b@example.com", "c@example.com"])
            # A client that stays connected does not hold up the end.
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0

    (delivered,) = mailbox.Maildir(tmp_path / "mail", create=False)
    assert delivered["X-RcptTo"] == "b@example.com, c@example.com"
    assert b"\x00\xff" * 10_000 in [part.get_payload(decode=True) for part in delivered.walk()]


def test_without_a_directory_one_line_names_the_variable() -> None:
    with start(free_port(), "") as server:
        _, errors = server.communicate()

    assert errors == "JOBYARD_MAILBOX_DIR: must name the directory for the mail\n"
    assert server.returncode == 1
