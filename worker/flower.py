"""`python -m worker.flower`: operators' live view of Celery, always behind a password.

Options go through Flower's environment, not its command line, where any user of the machine could read the password.
"""

import os
import sys

from shared.settings import Settings, environment_name, get_settings

_SHORTEST_PASSWORD = 8


def flower_environment(settings: Settings) -> dict[str, str]:
    """Give Flower's options as its environment variables; ends the process when there is no password."""
    password = settings.flower_password.get_secret_value()
    if len(password) < _SHORTEST_PASSWORD:
        name = environment_name("flower_password")
        sys.exit(f"{name}: Flower needs a password of at least {_SHORTEST_PASSWORD} characters")
    return {
        "FLOWER_BASIC_AUTH": f"{settings.flower_user}:{password}",
        "FLOWER_ADDRESS": settings.flower_host,
        "FLOWER_PORT": str(settings.flower_port),
        "FLOWER_PERSISTENT": "False",
        "FLOWER_PURGE_OFFLINE_WORKERS": "60",
        "FLOWER_MAX_TASKS": "10000",
    }


def main() -> None:
    """Become Flower."""
    environment = os.environ | flower_environment(get_settings())
    os.execve(sys.executable, [sys.executable, "-m", "celery", "-A", "worker.main", "flower"], environment)  # noqa: S606 - ours


if __name__ == "__main__":
    main()
