"""Alembic's migrations, and the one call that applies them."""

from pathlib import Path

from alembic import command
from alembic.config import Config

_HERE = Path(__file__).resolve().parent


def alembic_config(database_url: str) -> Config:
    """Make Alembic's configuration for a database; no `alembic.ini` is needed."""
    config = Config()
    # A raw attribute, not an option: options interpolate %, which passwords in URLs contain.
    config.attributes["database_url"] = database_url.replace("postgresql://", "postgresql+psycopg://", 1)
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring a database to a revision; waits for a rival that is migrating the same database."""
    command.upgrade(alembic_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Take a database back to a revision, losing what the newer ones added."""
    command.downgrade(alembic_config(database_url), revision)
