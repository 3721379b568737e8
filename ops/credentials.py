"""Secrets of a local installation: made once, kept in a file that only its owner reads."""

import json
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ops.paths import write_private


@dataclass(frozen=True)
class Credentials:
    """What guards a local Jobyard; every one is random and stays the same between runs."""

    secret_key: str
    flower_password: str
    login_email: str
    login_password: str


def load_credentials(path: Path) -> Credentials:
    """Read the credentials, and make and keep those that are missing."""
    made = Credentials(
        secret_key=secrets.token_urlsafe(48),
        flower_password=secrets.token_urlsafe(16),
        login_email="demo@example.com",
        login_password=secrets.token_urlsafe(16),
    )
    stored: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {field.name: stored[field.name] for field in fields(Credentials) if field.name in stored}
    credentials = Credentials(**{**asdict(made), **known})
    if asdict(credentials) != stored:
        write_private(path, json.dumps(asdict(credentials), indent=2) + "\n")
    return credentials
