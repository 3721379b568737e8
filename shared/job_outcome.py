"""What a handler can say besides returning its result."""

from datetime import timedelta


class Outcome(Exception):
    """Is raised by a handler to end its attempt otherwise than by success or crash."""


class Retry(Outcome):
    """Ends the attempt as failed and asks for another after a delay, if attempts are left."""

    def __init__(self, after: timedelta, detail: str = "the handler asked for another attempt") -> None:
        super().__init__(detail)
        self.after = after


class Snooze(Outcome):
    """Puts the job off without costing an attempt."""

    def __init__(self, after: timedelta) -> None:
        super().__init__("snoozed")
        self.after = after


class Fail(Outcome):
    """Ends the job as failed for good, with a stable code and a detail that its owner may read."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Cancelled(Outcome):
    """Ends the job as cancelled; raised by `JobContext.progress()` and `check_cancelled()`."""

    def __init__(self) -> None:
        super().__init__("cancelled")
