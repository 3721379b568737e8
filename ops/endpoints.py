"""Where everything of one running Jobyard is reached, and the environment that tells its programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pydantic import SecretStr

from ops.credentials import Credentials
from ops.paths import write_private
from ops.ports import LOOPBACK, choose_port
from shared.settings import Settings, environment_name, get_settings

_WEB_PORT, _FLOWER_PORT, _MAILBOX_PORT = 8000, 5555, 1025
_ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True)
class Endpoints:
    """URLs, ports, directories and credentials; `mailbox_dir` is empty when an SMTP server was given."""

    database_url: str
    redis_url: str
    smtp_url: str
    host: str
    port: int
    flower_host: str
    flower_port: int
    flower_user: str
    flower_password: str
    secret_key: str
    storage_dir: str
    mailbox_dir: str
    log_dir: str
    login_email: str
    login_password: str

    @property
    def api_url(self) -> str:
        """Where a client on this machine reaches the API."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def flower_url(self) -> str:
        """Where an operator on this machine reaches Flower."""
        return f"http://{_reachable(self.flower_host)}:{self.flower_port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that make the programs use these endpoints."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "SMTP_URL": self.smtp_url,
            "JOBYARD_HOST": self.host,
            "JOBYARD_PORT": str(self.port),
            "JOBYARD_SECRET_KEY": self.secret_key,
            "JOBYARD_STORAGE_DIR": self.storage_dir,
            "JOBYARD_MAILBOX_DIR": self.mailbox_dir,
            "JOBYARD_FLOWER_HOST": self.flower_host,
            "JOBYARD_FLOWER_PORT": str(self.flower_port),
            "JOBYARD_FLOWER_USER": self.flower_user,
            "JOBYARD_FLOWER_PASSWORD": self.flower_password,
        }

    def save(self, path: Path) -> None:
        """Write them to a file that only its owner reads, in one step."""
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")


def load_endpoints(path: Path) -> Endpoints:
    """Read what `save` wrote. Raises FileNotFoundError."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return Endpoints(**{field.name: stored[field.name] for field in fields(Endpoints)})


def given_settings() -> dict[str, str]:
    """Return the variables that the user has set, in the environment or in `.env`, by their names."""
    settings = get_settings()
    given: dict[str, str] = {}
    for field in settings.model_fields_set & set(Settings.model_fields):
        value: object = getattr(settings, field)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, str | int | Path):
            given[environment_name(field)] = str(value)
    return given


def choose_endpoints(
    var: Path, given: Mapping[str, str], credentials: Credentials, *, database_url: str, redis_url: str
) -> Endpoints:
    """Take what was given, and free ports and directories below `var` for the rest."""
    own_mailbox = "SMTP_URL" not in given
    smtp_url = f"smtp://{LOOPBACK}:{choose_port(_MAILBOX_PORT)}" if own_mailbox else given["SMTP_URL"]
    return Endpoints(
        database_url=database_url,
        redis_url=redis_url,
        smtp_url=smtp_url,
        host=given.get("JOBYARD_HOST", LOOPBACK),
        port=choose_port(int(given.get("JOBYARD_PORT", _WEB_PORT))),
        flower_host=given.get("JOBYARD_FLOWER_HOST", LOOPBACK),
        flower_port=choose_port(int(given.get("JOBYARD_FLOWER_PORT", _FLOWER_PORT))),
        flower_user=given.get("JOBYARD_FLOWER_USER", "operator"),
        flower_password=given.get("JOBYARD_FLOWER_PASSWORD") or credentials.flower_password,
        secret_key=given.get("JOBYARD_SECRET_KEY", credentials.secret_key),
        storage_dir=str(Path(given.get("JOBYARD_STORAGE_DIR", var / "storage")).absolute()),
        mailbox_dir=str(var / "mailbox") if own_mailbox else "",
        log_dir=str(var / "log"),
        login_email=credentials.login_email,
        login_password=credentials.login_password,
    )


def _reachable(host: str) -> str:
    if host in _ANY_ADDRESS:
        return LOOPBACK
    return f"[{host}]" if ":" in host else host
