"""`python -m api`: serve the API with uvicorn as the settings say."""

import uvicorn

from shared.settings import get_settings

GRACE_SECONDS = 5
BACKLOG = 2048


def main() -> None:
    """Serve until SIGTERM or SIGINT; requests under way get 5 s to end."""
    settings = get_settings()
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


if __name__ == "__main__":
    main()
