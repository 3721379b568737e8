"""Settings, read from the environment (and `.env`) by a call, never at import."""

import re
import sys
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from shared.crontab import is_crontab
from shared.mail_settings import MailSettings, comma_separated
from shared.stream_settings import StreamSettings
from shared.webhook_settings import WebhookSettings

PREFIX = "JOBYARD_"
DEVELOPMENT_SECRET = "development-only-secret-do-not-use-in-production"  # noqa: S105 - refused in production below
_SHORTEST_SECRET = 32
_KEY_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")


def _pairs(value: SecretStr) -> list[tuple[str, str]]:
    parts = [part.strip().partition(":") for part in value.get_secret_value().split(",") if part.strip()]
    return [(name, secret) for name, _, secret in parts]


class Settings(MailSettings, WebhookSettings, StreamSettings):
    """Everything an operator can set; `.env.example` explains each."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", populate_by_name=True)

    environment: Literal["development", "test", "production"] = "development"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    database_url: str = Field("postgresql://jobyard@127.0.0.1:5432/jobyard", validation_alias="DATABASE_URL")
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    public_url: str = ""
    cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    secret_key: SecretStr = SecretStr(DEVELOPMENT_SECRET)
    link_keys: SecretStr = SecretStr("")
    token_issuer: str = Field("jobyard", min_length=1)
    token_audience: str = Field("jobyard-api", min_length=1)
    access_token_minutes: int = Field(15, ge=1, le=24 * 60)
    refresh_token_days: int = Field(30, ge=1, le=365)

    storage_dir: Path = Path("var/storage")
    storage_url: str = Field("", validation_alias="STORAGE_URL")
    bucket_endpoint: str = Field("", validation_alias="AWS_ENDPOINT_URL")
    bucket_region: str = Field("", validation_alias="AWS_REGION")
    bucket_key_id: str = Field("", validation_alias="AWS_ACCESS_KEY_ID")
    bucket_secret: SecretStr = Field(SecretStr(""), validation_alias="AWS_SECRET_ACCESS_KEY")
    max_upload_bytes: int = Field(100 * 1024 * 1024, ge=1)
    max_image_pixels: int = Field(60_000_000, ge=1)
    max_image_bytes: int = Field(256 * 1024 * 1024, ge=1)
    max_image_frames: int = Field(1000, ge=1)
    max_image_scans: int = Field(64, ge=1)
    max_image_metadata_bytes: int = Field(16 * 1024 * 1024, ge=0)
    max_image_output_pixels: int = Field(100_000_000, ge=1)
    max_archive_bytes: int = Field(10 * 1024**3, ge=1)
    allowed_media_types: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["image/*", "text/*", "application/pdf", "application/zip", "application/json"]
    )
    owner_max_bytes: int = Field(0, ge=0)
    owner_max_files: int = Field(0, ge=0)
    upload_retention_days: int = Field(30, ge=1, le=36_500)
    output_retention_days: int = Field(30, ge=1, le=36_500)
    longest_retention_days: int = Field(365, ge=1, le=36_500)
    orphan_grace_minutes: int = Field(24 * 60, ge=10)
    upload_expiry_hours: int = Field(24, ge=1, le=24 * 365)

    job_modules: Annotated[list[str], NoDecode] = Field(default_factory=lambda: ["worker.jobs"])
    job_retention_days: int = Field(30, ge=1)
    lease_seconds: float = Field(60.0, ge=1)
    dispatch_window: int = Field(64, ge=1, le=10_000)
    dispatch_window_least: int = Field(4, ge=1, le=10_000)
    worker_concurrency: int = Field(2, ge=1)
    worker_memory_bytes: int = Field(2 * 1024**3, ge=0)
    worker_health_file: Path = Path("var/worker-health.json")
    time_zone: str = "UTC"
    clean_files_crontab: str = "17 * * * *"
    purge_jobs_crontab: str = "41 3 * * *"
    purge_records_crontab: str = "29 * * * *"

    flower_host: str = "127.0.0.1"
    flower_port: int = Field(5555, ge=1, le=65535)
    flower_user: str = Field("operator", min_length=1)
    flower_password: SecretStr = SecretStr("")

    _split = field_validator("job_modules", "cors_origins", "allowed_media_types", mode="before")(comma_separated)

    @field_validator("database_url")
    @classmethod
    def _require_postgresql(cls, value: str) -> str:
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg"}:
            raise ValueError("must be a postgresql:// URL")
        return f"postgresql://{rest}"

    @field_validator("redis_url")
    @classmethod
    def _require_redis(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must be a redis:// or rediss:// URL")
        return value

    @field_validator("bucket_endpoint")
    @classmethod
    def _require_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be a http:// or https:// URL")
        return value

    @field_validator("storage_url")
    @classmethod
    def _require_bucket(cls, value: str) -> str:
        if value and not value.startswith("s3://"):
            raise ValueError("must be a s3://bucket/prefix URL, or empty for a local directory")
        return value

    @field_validator("public_url")
    @classmethod
    def _require_address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must be a http:// or https:// URL, or empty for the address that a request was sent to")
        return value.rstrip("/")

    @field_validator("link_keys")
    @classmethod
    def _require_named_keys(cls, value: SecretStr) -> SecretStr:
        pairs = _pairs(value)
        names = {name for name, _ in pairs}
        sound = all(_KEY_NAME.fullmatch(name) and len(secret) >= _SHORTEST_SECRET for name, secret in pairs)
        if not sound or len(names) < len(pairs):
            raise ValueError(f"must be name:secret, …, each name once, each secret of {_SHORTEST_SECRET} characters")
        return value

    @field_validator("clean_files_crontab", "purge_jobs_crontab", "purge_records_crontab")
    @classmethod
    def _require_crontab(cls, value: str) -> str:
        if not is_crontab(value):
            raise ValueError("must be a crontab of five fields: minute hour day-of-month month day-of-week")
        return value

    @field_validator("time_zone")
    @classmethod
    def _require_time_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception as error:
            raise ValueError("must be an IANA time zone such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _refuse_weak_secrets_in_production(self) -> Self:
        if self.environment == "production":
            secret = self.secret_key.get_secret_value()
            if secret == DEVELOPMENT_SECRET or len(secret) < _SHORTEST_SECRET:
                name = environment_name("secret_key")
                raise ValueError(f"{name}: must be set to at least {_SHORTEST_SECRET} own characters in production")
        return self

    @model_validator(mode="after")
    def _refuse_retentions_beyond_the_longest(self) -> Self:
        for field in ("upload_retention_days", "output_retention_days"):
            if getattr(self, field) > self.longest_retention_days:
                longest = environment_name("longest_retention_days")
                raise ValueError(f"{environment_name(field)}: must not be more than {longest}")
        return self

    @property
    def sqlalchemy_url(self) -> str:
        """The database URL that makes SQLAlchemy use psycopg 3."""
        return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def named_link_keys(self) -> dict[str, str]:
        """The keys of signed links by name, the one that signs first; none when nothing is set."""
        return dict(_pairs(self.link_keys))

    @property
    def heartbeat_seconds(self) -> float:
        """Seconds between two renewals of a lease: a quarter of it, so three may go missing."""
        return self.lease_seconds / 4

    @property
    def silence_seconds(self) -> float:
        """Seconds without a word after which a worker counts as lost: three of its reports."""
        return self.heartbeat_seconds * 3

    @property
    def job_retention(self) -> timedelta:
        """How long a finished job is kept."""
        return timedelta(days=self.job_retention_days)

    @property
    def upload_retention(self) -> timedelta:
        """How long an upload is kept when nobody says otherwise."""
        return timedelta(days=self.upload_retention_days)

    @property
    def output_retention(self) -> timedelta:
        """How long an output of a job is kept when nobody says otherwise."""
        return timedelta(days=self.output_retention_days)

    @property
    def longest_retention(self) -> timedelta:
        """How long a file can be kept from now on, whoever asks for it."""
        return timedelta(days=self.longest_retention_days)


def environment_name(field: str) -> str:
    """Name the environment variable that sets `field`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field.upper()}"


def environment_names() -> set[str]:
    """Name every environment variable that the settings read."""
    return {environment_name(field) for field in Settings.model_fields}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once per process.

    Wrong values end the process with one line per variable, which names the variable and never shows a secret.
    """
    try:
        return Settings()  # pyright: ignore[reportCallIssue] - every field has a default; the alias hides it
    except ValidationError as error:
        lines = [_explain(str(item["loc"][0]) if item["loc"] else "", item["msg"]) for item in error.errors()]
        sys.exit("\n".join(lines))


def _explain(location: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    if not location:
        return message
    known = location in Settings.model_fields
    return f"{environment_name(location) if known else location}: {message}"
