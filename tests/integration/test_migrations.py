import re

import psycopg
from alembic import command
from sqlalchemy import create_engine, inspect

from ops.postgres import LocalPostgres
from shared import migrations
from shared.ids import new_id
from shared.job_state import TRANSITIONS
from shared.models import Base


def test_models_and_migrations_agree(postgres: LocalPostgres) -> None:
    command.check(migrations.alembic_config(postgres.url))


def test_downgrade_leaves_nothing_and_upgrade_comes_back(postgres: LocalPostgres) -> None:
    name = f"migrations_{new_id().hex}"
    url = postgres.create_database(name)
    try:
        migrations.upgrade(url)
        migrations.upgrade(url)
        migrations.downgrade(url, "base")
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        assert inspect(engine).get_table_names() == ["alembic_version"]
        migrations.upgrade(url)
        assert set(inspect(engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
        engine.dispose()
    finally:
        postgres.drop_database(name)


def test_the_trigger_knows_the_same_transitions_as_the_code(database: psycopg.Connection) -> None:
    row = database.execute("SELECT prosrc FROM pg_proc WHERE proname = 'refuse_illegal_transition'").fetchone()
    assert row is not None
    in_database = set(re.findall(r"\('(\w+)', '(\w+)'\)", row[0]))
    in_code = {(before.value, after.value) for before, follow in TRANSITIONS.items() for after in follow}
    assert in_database == in_code


def test_what_a_heartbeat_writes_is_in_no_index(database: psycopg.Connection) -> None:
    indexes = database.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 'jobs'").fetchall()
    written = ("lease_expires_at", "progress_completed", "progress_total", "progress_message", "version")
    assert len(indexes) > 5
    for (definition,) in indexes:
        assert not any(column in definition for column in written), definition


def test_every_foreign_key_has_an_index(database: psycopg.Connection) -> None:
    missing = database.execute("""
        SELECT c.conname FROM pg_constraint c
        WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND NOT EXISTS (
            SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
        )
    """).fetchall()
    assert missing == []
