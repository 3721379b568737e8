"""Templates of e-mails: Jinja sources, and the texts that variables make of them.

Importing this module is cheap; Jinja comes with the first call that needs it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from shared.errors import JobyardError

LARGEST_SOURCE = 256 * 1024
LARGEST_OUTPUT = 1024 * 1024
LONGEST_SUBJECT = 998
_MOST_NAMES = 50
_LONGEST_NAME = 200

Step = str | int


class TemplateSource(NamedTuple):
    """Is what an owner wrote: a subject, and a text, an HTML page or both."""

    subject: str
    text: str | None
    html: str | None


class Content(NamedTuple):
    """Is what a message says."""

    subject: str
    text: str | None
    html: str | None


class TemplateError(JobyardError):
    """Is the base of what is wrong with a template or its variables; `index` tells which of several variables."""

    status = 422
    index: int | None = None


class TemplateNotValid(TemplateError):
    """Is raised for a source that is no template; it points to the part, and says the line."""

    code = "template_not_valid"
    title = "Template not valid"


class TemplateVariablesMissing(TemplateError):
    """Is raised when a template shows variables that it was not given; `names` and `pointers` name all of them."""

    code = "template_variables_missing"
    title = "Template variables missing"
    names: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()

    @classmethod
    def of(cls, paths: Iterable[tuple[Step, ...]]) -> Self:
        """Make the error of the paths of what is missing."""
        paths = list(paths)[:_MOST_NAMES]
        names = tuple(_dotted(path)[:_LONGEST_NAME] for path in paths)
        error = cls(f"The template needs variables that are not given: {', '.join(names)}.")
        error.names = names
        error.pointers = tuple(_pointer(path)[:_LONGEST_NAME] for path in paths)
        return error


class TemplateFailed(TemplateError):
    """Is raised when a template does what it may not or cannot do."""

    code = "template_failed"
    title = "Template failed"


class TemplateTooSlow(TemplateError):
    """Is raised when a rendering takes longer than it may."""

    code = "template_too_slow"
    title = "Template too slow"


class TemplateTooLarge(TemplateError):
    """Is raised when a rendering makes more, or needs more memory, than it may."""

    code = "template_too_large"
    title = "Template too large"


def check_source(source: TemplateSource) -> list[str]:
    """Compile a source and name the variables that it knows, sorted; only in the main thread.

    Raises `TemplateNotValid`, and `TemplateTooSlow` or `TemplateTooLarge` for one that is too much to compile.
    """
    from shared.mail_rendering import check  # noqa: PLC0415 - the front imports this module, but not Jinja

    return check(source)


def render(source: TemplateSource, variables: Mapping[str, Any], *, finished: bool = True) -> Content:
    """Make the texts of a message from variables that are JSON; only in the main thread, within 2 s of CPU time.

    Finished, the page's CSS is inlined and a text is derived from it when the template has none. Raises
    `TemplateVariablesMissing`, `TemplateFailed`, `TemplateTooSlow`, `TemplateTooLarge`, `TemplateNotValid`.
    """
    from shared.mail_rendering import render_parts  # noqa: PLC0415 - as above

    return render_parts(source, variables, finished=finished)


def _dotted(path: tuple[Step, ...]) -> str:
    first, *rest = path
    return str(first) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


def _pointer(path: tuple[Step, ...]) -> str:
    return "/variables" + "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
