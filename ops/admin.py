"""`python -m ops admin`: gives a registered user a role."""

from pathlib import Path

import psycopg

from ops.migrate import operators_database

ROLES = ("user", "operator", "admin")


class UserNotFound(LookupError):
    """No user has registered with this address."""


def set_role(email: str, role: str, var: Path) -> int:
    """Give a user a role. Raises UserNotFound."""
    with operators_database(var) as database_url, psycopg.connect(database_url) as connection:
        cursor = connection.execute("UPDATE users SET role = %s WHERE lower(email) = lower(%s)", (role, email))
        if cursor.rowcount == 0:
            raise UserNotFound(f"nobody has registered as {email}")
    print(f"{email} is now {role}")
    return 0
