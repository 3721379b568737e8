"""How the demonstration ends when something is not as it should be."""


class DemoFailed(RuntimeError):
    """Something is not as the demonstration expects; the message is one line."""
