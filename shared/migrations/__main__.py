"""`python -m shared.migrations`: apply all migrations to DATABASE_URL."""

from shared.migrations import upgrade
from shared.settings import get_settings

if __name__ == "__main__":
    upgrade(get_settings().database_url)
