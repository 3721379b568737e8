"""Who waits for a lock in the tests' database."""

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND backend_type = 'client backend'
"""
"""Counts clients; PostgreSQL's own vacuuming may wait at any time."""
