"""Crontabs, checked by every process that reads the settings; beat alone, which has Celery, follows them."""

import re

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = ("", "", "", "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", "sun|mon|tue|wed|thu|fri|sat")
_PART = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[1-9]\d{0,2}))?")


def is_crontab(text: str) -> bool:
    """Tell whether a text is a crontab of five fields, each of `*`, numbers, names, ranges, steps and lists."""
    parts = text.split()
    return len(parts) == len(_BOUNDS) and all(
        _is_part(part, *bounds, names)
        for text_of_field, bounds, names in zip(parts, _BOUNDS, _NAMES, strict=True)
        for part in text_of_field.split(",")
    )


def _is_part(part: str, lowest: int, highest: int, names: str) -> bool:
    found = _PART.fullmatch(part)
    if found is None:
        return False
    ends = [end for end in (found["first"], found["last"]) if end is not None]
    return all(
        (end.isdecimal() and lowest <= int(end) <= highest) or (names != "" and re.fullmatch(names, end) is not None)
        for end in ends
    )
