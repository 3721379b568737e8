"""Conditional requests (RFC 9110, section 13) for content that never changes: what is under an id stays the same."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.datastructures import Headers

from shared.errors import JobyardError

_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")
_TAG = re.compile(r'(?:W/)?"[^"]*"')


class PreconditionFailed(JobyardError):
    """Is raised when `If-Match` or `If-Unmodified-Since` names another content."""

    status = 412
    code = "precondition_failed"
    title = "Precondition failed"


class Validators:
    """Tells one content from another: `etag`, a strong entity tag, and `modified`, whole seconds."""

    def __init__(self, sha256: str, modified: datetime) -> None:
        self.etag = f'"{sha256}"'
        self._modified = modified.astimezone(UTC).replace(microsecond=0)

    @property
    def last_modified(self) -> str:
        """The value of `Last-Modified`."""
        return format_datetime(self._modified, usegmt=True)

    def client_has_it(self, headers: Headers) -> bool:
        """Evaluate the preconditions of a GET or HEAD in their order: True means 304; raises `PreconditionFailed`."""
        if_match, if_none_match = _joined(headers, "if-match"), _joined(headers, "if-none-match")
        if if_match is not None:
            if not self._is_listed(if_match, weakly=False):
                raise PreconditionFailed("The content is not the one that If-Match names.")
        elif (date := _date(_joined(headers, "if-unmodified-since"))) is not None and self._modified > date:
            raise PreconditionFailed("The content is newer than If-Unmodified-Since.")
        if if_none_match is not None:
            return self._is_listed(if_none_match, weakly=True)
        date = _date(_joined(headers, "if-modified-since"))
        return date is not None and self._modified <= date

    def allow_range(self, headers: Headers) -> bool:
        """Tell whether `If-Range` lets a range be sent: it must be absent, or name this content exactly.

        Its date counts as a strong validator, since the content never changed within that second.
        """
        validator = _joined(headers, "if-range")
        if validator is None:
            return True
        return validator == self.etag or _date(validator) == self._modified

    def _is_listed(self, listed: str, *, weakly: bool) -> bool:
        if listed.strip() == "*":
            return True
        tags = _TAG.findall(listed)
        return self.etag in ([tag.removeprefix("W/") for tag in tags] if weakly else tags)


def _joined(headers: Headers, name: str) -> str | None:
    lines = headers.getlist(name)
    return ", ".join(lines) if lines else None


def _date(value: str | None) -> datetime | None:
    """Read an HTTP date in any of its three forms; one that cannot be read is ignored, as the standard says."""
    for form in _DATES:
        try:
            return datetime.strptime(value or "", form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
