"""Faults of the services: PostgreSQL, Redis, the disk, and the lines to them. All share two Jobyards; see conftest."""
