"""Words for people: times, and text from elsewhere that must not reach a terminal as it is."""

import unicodedata
from datetime import UTC, datetime

# Beside the controls: marks that turn the direction of text or hide in it, lone surrogates, line separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# These join emoji and the letters of some scripts, and move nothing.
_HARMLESS = frozenset("\u200c\u200d")
_SPANS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"))
_DAY = 86_400


def plain(text: object) -> str:
    """Give text as one line that does nothing to a terminal: controls are shown as escapes of Python's."""
    return "".join(map(_shown, str(text)))


def plain_lines(text: object) -> str:
    """Give text that does nothing to a terminal, its line ends kept."""
    return "\n".join(plain(line) for line in str(text).splitlines())


def _shown(character: str) -> str:
    if character in _HARMLESS or unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape").decode()


def moment(time: datetime | None, now: datetime | None = None) -> str:
    """Give a time as the local clock shows it, and how far away it is."""
    if time is None:
        return ""
    local = time.astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S} ({distance(time, now)})"


def distance(time: datetime, now: datetime | None = None) -> str:
    """Tell how long ago a time was, or how soon it is."""
    seconds = ((now or datetime.now(UTC)) - time).total_seconds()
    span = duration(abs(seconds))
    return "now" if span == "0 s" else f"{span} ago" if seconds > 0 else f"in {span}"


def duration(seconds: float) -> str:
    """Give a span of time in its largest unit."""
    for limit, length, unit in _SPANS:
        if seconds < limit:
            return f"{int(seconds / length)} {unit}"
    return f"{int(seconds / _DAY)} d"
