"""The settings of e-mail: servers, senders, limits, retries, keys."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode

from shared.mail_address import parse_mailbox

_SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
EVERY_DOMAIN = "*"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Is a server that takes mail: `name` is its host and port, which may be shown and logged."""

    name: str
    scheme: str
    host: str
    port: int
    username: str | None = None
    password: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class DkimKey:
    """Says with which key, a PEM file, a sender's domain signs."""

    domain: str
    selector: str
    path: Path


def parse_server(url: str) -> SmtpServer:
    """Read a smtp://, smtp+starttls:// or smtps:// URL; raises `ValueError`, which does not repeat it."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port or _SCHEMES[parts.scheme]
    except (KeyError, ValueError):
        raise ValueError("must be a smtp://, smtp+starttls:// or smtps:// URL") from None
    host = parts.hostname or "localhost"
    return SmtpServer(
        f"{host}:{port}",
        parts.scheme,
        host,
        port,
        unquote(parts.username) if parts.username else None,
        SecretStr(unquote(parts.password)) if parts.password else None,
    )


def comma_separated(value: object) -> object:
    """Split a text of the environment; anything else is left as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class MailSettings(BaseSettings):
    """Is the part of the settings that e-mail alone reads."""

    smtp_url: str = Field("smtp://127.0.0.1:1025", validation_alias="SMTP_URL")
    smtp_routes: SecretStr = Field(SecretStr(""), validation_alias="SMTP_ROUTES")
    smtp_timeout_seconds: float = Field(30.0, gt=0)
    smtp_connections: int = Field(10, ge=1, le=1000)
    smtp_messages_per_connection: int = Field(100, ge=1)
    smtp_idle_seconds: float = Field(60.0, gt=0)
    smtp_rate: float = Field(0.0, ge=0)
    mail_domain_rates: Annotated[list[str], NoDecode] = Field(default_factory=list)
    mail_from: str = "Jobyard <jobyard@localhost.localdomain>"
    welcome_email: bool = False
    mail_senders: Annotated[list[str], NoDecode] = Field(default_factory=list)
    mail_backoff_seconds: float = Field(120.0, gt=0)
    mail_backoff_cap_seconds: float = Field(4 * 3600.0, gt=0, le=24 * 3600)
    mail_give_up_hours: float = Field(24.0, gt=0, le=5 * 24)
    max_message_bytes: int = Field(25 * 1024 * 1024, ge=1024)
    dkim_keys: Annotated[list[str], NoDecode] = Field(default_factory=list)

    _split_mail = field_validator("mail_senders", "mail_domain_rates", "dkim_keys", mode="before")(comma_separated)

    @field_validator("smtp_url")
    @classmethod
    def _require_smtp(cls, value: str) -> str:
        parse_server(value)
        return value

    @field_validator("smtp_routes")
    @classmethod
    def _require_routes(cls, value: SecretStr) -> SecretStr:
        _routes(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _require_sender(cls, value: str) -> str:
        try:
            parse_mailbox(value)
        except ValueError:
            raise ValueError("must be an address: name@example.com or Name <name@example.com>") from None
        return value

    @field_validator("mail_senders")
    @classmethod
    def _require_addresses_or_domains(cls, value: list[str]) -> list[str]:
        for sender in value:
            try:
                parse_mailbox(f"x{sender}" if sender.startswith("@") else sender)
            except ValueError:
                raise ValueError("must be addresses and @domains, separated by commas") from None
        return value

    @field_validator("mail_domain_rates")
    @classmethod
    def _require_rates(cls, value: list[str]) -> list[str]:
        _rates(value)
        return value

    @field_validator("dkim_keys")
    @classmethod
    def _require_keys(cls, value: list[str]) -> list[str]:
        _keys(value)
        return value

    @property
    def smtp_servers(self) -> dict[str, SmtpServer]:
        """The servers by the sender's domain; that of `EVERY_DOMAIN` takes what no other does."""
        return {EVERY_DOMAIN: parse_server(self.smtp_url)} | _routes(self.smtp_routes)

    @property
    def domain_rates(self) -> dict[str, float]:
        """Messages per second by the recipient's domain; that of `EVERY_DOMAIN` holds for each other domain."""
        return _rates(self.mail_domain_rates)

    @property
    def dkim(self) -> dict[str, DkimKey]:
        """The keys by the sender's domain."""
        return _keys(self.dkim_keys)

    @property
    def mail_give_up(self) -> timedelta:
        """How long after it was due a message is tried again."""
        return timedelta(hours=self.mail_give_up_hours)


def _routes(value: SecretStr) -> dict[str, SmtpServer]:
    routes: dict[str, SmtpServer] = {}
    for part in value.get_secret_value().split(","):
        if part.strip():
            domain, separator, url = part.partition("=")
            if not separator or not domain.strip():
                raise ValueError("must be domain=URL, separated by commas")
            routes[domain.strip().lower()] = parse_server(url)
    return routes


def _rates(value: list[str]) -> dict[str, float]:
    rates: dict[str, float] = {}
    for part in value:
        domain, _, rate = part.partition("=")
        try:
            rates[domain.strip().lower()] = float(rate)
        except ValueError:
            raise ValueError("must be domain=messages per second, separated by commas") from None
    if not all(rate > 0 for rate in rates.values()):
        raise ValueError("must be rates above 0")
    return rates


def _keys(value: list[str]) -> dict[str, DkimKey]:
    keys: dict[str, DkimKey] = {}
    for part in value:
        domain, _, rest = part.partition(":")
        selector, _, path = rest.partition(":")
        if not (domain and selector and path):
            raise ValueError("must be domain:selector:path of a PEM file, separated by commas")
        keys[domain.lower()] = DkimKey(domain.lower(), selector, Path(path))
    return keys
