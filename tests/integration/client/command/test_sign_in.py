"""`jobyard login`, `logout`, `whoami`, and the file that keeps the tokens."""

import json
import stat
from typing import Any

from tests.integration.client.command.conftest import Shell
from tests.integration.client.conftest import PASSWORD


def change(shell: Shell, **changes: Any) -> dict[str, Any]:
    """Change what is kept of the only sign-in; gives what was kept."""
    content = json.loads(shell.credentials.read_text())
    (url, kept), *_ = content["services"].items()
    content["services"] = {url: kept | changes}
    shell.credentials.write_text(json.dumps(content))
    return kept


def kept(shell: Shell) -> dict[str, Any]:
    (only,) = json.loads(shell.credentials.read_text())["services"].values()
    return only


def test_a_sign_in_is_kept_where_nobody_else_can_read_it_and_without_the_password(shell: Shell, email: str) -> None:
    assert stat.S_IMODE(shell.credentials.stat().st_mode) == 0o600
    assert stat.S_IMODE(shell.credentials.parent.stat().st_mode) == 0o700
    assert PASSWORD not in shell.credentials.read_text()
    assert kept(shell)["email"] == email
    assert shell.ok("whoami").lines[0] == f"email\t{email}"
    assert shell.ok("whoami", "--json").json["email"] == email


def test_no_token_is_ever_printed(nobody: Shell, url: str, email: str) -> None:
    finished = nobody.ok("login", "--json", "--url", url, "--email", email, "--password-stdin", stdin=PASSWORD.encode())
    assert finished.json["email"] == email
    said = finished.text + finished.errors
    assert all(secret not in said for secret in (kept(nobody)["access_token"], kept(nobody)["refresh_token"]))


def test_a_wrong_password_is_refused_and_nothing_is_kept(nobody: Shell, url: str, email: str) -> None:
    refused = nobody.run("login", "-q", "--url", url, "--email", email, "--password-stdin", stdin=b"wrong\n")
    assert (refused.status, refused.text) == (3, "")
    assert (
        refused.errors == "jobyard: Unauthorized: The e-mail address or the password is wrong (invalid_credentials)\n"
    )
    assert not nobody.credentials.exists()


def test_nobody_is_asked_where_there_is_no_terminal(nobody: Shell, url: str) -> None:
    assert nobody.run("login", "--url", url).status == 2
    assert nobody.run("login", "--url", url, "--email", "ann@example.com").status == 2


def test_without_a_sign_in_a_command_says_how_to_make_one(nobody: Shell, url: str) -> None:
    refused = nobody.run("jobs", "ls", "--url", url)
    assert refused.status == 3
    assert refused.errors.startswith("jobyard: Not signed in: ")
    assert "jobyard login" in refused.errors


def test_a_file_that_others_can_read_is_refused(shell: Shell) -> None:
    shell.credentials.chmod(0o640)
    refused = shell.run("whoami")
    assert refused.status == 3
    assert "(credentials_exposed)" in refused.errors


def test_a_damaged_file_is_one_line(shell: Shell) -> None:
    shell.credentials.write_text("{")
    refused = shell.run("whoami")
    assert (refused.status, refused.errors.count("\n")) == (3, 1)


def test_the_environment_signs_in_by_itself(shell: Shell, nobody: Shell, url: str, email: str) -> None:
    token = kept(shell)["access_token"]
    shell.credentials.unlink()
    nobody.environment.update(JOBYARD_URL=url, JOBYARD_TOKEN=token)
    assert nobody.ok("whoami", "--json").json["email"] == email
    assert not shell.credentials.exists()


def test_tokens_go_to_no_other_server(shell: Shell) -> None:
    refused = shell.run("whoami", "--url", "http://127.0.0.1:1")
    assert (refused.status, "(not_signed_in)" in refused.errors) == (3, True)


def test_an_ended_token_is_renewed_and_the_next_one_kept(shell: Shell) -> None:
    before = change(shell, expires_at=0)
    shell.ok("whoami")
    assert kept(shell)["refresh_token"] != before["refresh_token"]
    assert kept(shell)["expires_at"] > before["expires_at"] - 60
    assert stat.S_IMODE(shell.credentials.stat().st_mode) == 0o600


def test_rival_commands_use_a_refresh_token_once(shell: Shell) -> None:
    change(shell, expires_at=0, access_token="ended")
    rivals = [shell.start("whoami") for _ in range(4)]
    outcomes = [(*rival.communicate(timeout=60), rival.returncode) for rival in rivals]
    assert [outcome[2] for outcome in outcomes] == [0, 0, 0, 0], outcomes
    # Used twice, it would have ended the sign-in.
    change(shell, expires_at=0)
    shell.ok("whoami")


def test_signing_out_revokes_and_forgets(shell: Shell, url: str) -> None:
    before = kept(shell)
    shell.ok("logout")
    assert json.loads(shell.credentials.read_text()) == {"current": None, "services": {}}
    assert shell.run("whoami").status == 3
    # What somebody may have copied is worth nothing.
    content = {"current": url, "services": {url: before | {"expires_at": 0, "access_token": "ended"}}}
    shell.credentials.write_text(json.dumps(content))
    assert shell.run("whoami").status == 3
