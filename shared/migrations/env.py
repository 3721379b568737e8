"""Alembic's entry point: connect, take a lock, migrate."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from shared import event_models, file_models, mail_models, service_models  # noqa: F401  # pyright: ignore[reportUnusedImport] - tables of Base
from shared.models import Base

_LOCK = 0x4A4F4259  # "JOBY": rival migrations of one database wait for each other


def run() -> None:
    """Apply the migrations in one transaction."""
    engine = create_engine(context.config.attributes["database_url"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, compare_server_default=True)
        with context.begin_transaction():
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            context.run_migrations()


run()
