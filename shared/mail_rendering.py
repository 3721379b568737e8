"""Rendering: the parts of a template in the sandbox, within time and size."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from jinja2 import Template, TemplateSyntaxError, meta

from shared.cpu_limit import CpuTimeUp, within
from shared.errors import JobyardError
from shared.mail_address import is_one_line
from shared.mail_bounds import Showing
from shared.mail_missing import Absences, Missing
from shared.mail_pages import inline_css, text_of
from shared.mail_sandbox import Sandbox
from shared.mail_templates import (
    LARGEST_SOURCE,
    LONGEST_SUBJECT,
    Content,
    TemplateFailed,
    TemplateNotValid,
    TemplateSource,
    TemplateTooLarge,
    TemplateTooSlow,
    TemplateVariablesMissing,
)

CHECK_SECONDS = 1.0
RENDER_SECONDS = 2.0
"""Of CPU time. A rendering may have to compile first, which took no longer than a check, maybe elsewhere."""
_COMPILED = 32

_T = TypeVar("_T")
_SANDBOXES = {part: Sandbox(autoescape=part == "html") for part in TemplateSource._fields}


def check(source: TemplateSource) -> list[str]:
    """See `mail_templates.check_source`."""
    return _limited(CHECK_SECONDS, lambda: sorted(_names(source)))


def _names(source: TemplateSource) -> set[str]:
    names: set[str] = set()
    for part, text in source._asdict().items():
        if text is not None:
            sandbox = _SANDBOXES[part]
            _compiled(part, text)
            names |= meta.find_undeclared_variables(sandbox.parse(text)) - set(sandbox.globals)
    return names


def render_parts(source: TemplateSource, variables: Mapping[str, Any], *, finished: bool) -> Content:
    """See `mail_templates.render`."""
    return _limited(RENDER_SECONDS, lambda: _render(source, variables, finished=finished))


def _limited(seconds: float, work: Callable[[], _T]) -> _T:
    try:
        return within(seconds, work)
    except CpuTimeUp:
        raise TemplateTooSlow(f"The template took more than {seconds:g} s.") from None
    except MemoryError:
        _compiled.cache_clear()
        raise TemplateTooLarge("The template needs too much memory.") from None


def _render(source: TemplateSource, variables: Mapping[str, Any], *, finished: bool) -> Content:
    Missing.absences = absences = Absences(variables)
    Showing.begin()
    try:
        subject, text, html = (_render_part(part, getattr(source, part), variables) for part in TemplateSource._fields)
    finally:
        Missing.absences = Absences({})
    if absences.paths:
        raise TemplateVariablesMissing.of(absences.paths)
    subject = _require_subject(subject or "")
    if finished and html is not None:
        html = inline_css(html)
        text = text_of(html) if text is None else text
    return Content(subject, text, html)


def _render_part(part: str, source: str | None, variables: Mapping[str, Any]) -> str | None:
    if source is None:
        return None
    template = _compiled(part, source)
    sandbox = _SANDBOXES[part]
    try:
        made = sandbox.concat(template.root_render_func(template.new_context(dict(variables))))
    except Exception as error:
        if Missing.absences.paths:
            # Most likely it failed for want of them.
            return None
        if isinstance(error, JobyardError | MemoryError):
            raise
        raise TemplateFailed(f"The {part} failed{_place(template, error)}: {_reason(error)}") from error
    return _require_storable(part, made)


def _place(template: Template, error: Exception) -> str:
    at, line = error.__traceback__, None
    while at is not None:
        if at.tb_frame.f_code.co_filename == _FILE:
            line = template.get_corresponding_lineno(at.tb_lineno)
        at = at.tb_next
    return f" at line {line}" if line else ""


_FILE = "<template>"


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    return str(error).partition(";")[0][:300] or type(error).__name__


def _require_storable(part: str, made: str) -> str:
    try:
        made.encode()
    except UnicodeEncodeError:
        raise TemplateFailed(f"The {part} has a lone surrogate.") from None
    if "\0" in made:
        raise TemplateFailed(f"The {part} has NUL.")
    return made


def _require_subject(subject: str) -> str:
    subject = subject.strip()
    if not is_one_line(subject):
        raise TemplateFailed("The subject must become one line, without control characters.")
    if len(subject) > LONGEST_SUBJECT:
        raise TemplateTooLarge(f"The subject may become {LONGEST_SUBJECT} characters long.")
    return subject


@lru_cache(_COMPILED)
def _compiled(part: str, source: str) -> Template:
    sandbox = _SANDBOXES[part]
    pointer = f"/{part}"
    if len(source) > LARGEST_SOURCE:
        raise TemplateTooLarge(f"The {part} of a template may have {LARGEST_SOURCE} characters.", pointer=pointer)
    try:
        code = sandbox.compile(sandbox.parse_bounded(source))
        return Template.from_code(sandbox, code, sandbox.globals)
    except TemplateSyntaxError as error:
        raise TemplateNotValid(
            f"The {part} is not valid at line {error.lineno}: {error.message}", pointer=pointer
        ) from error
    except (RecursionError, SyntaxError) as error:
        # Python's compiler has limits of its own.
        raise TemplateNotValid(f"The {part} is nested too deeply.", pointer=pointer) from error
    except MemoryError:
        raise
    except Exception as error:
        raise TemplateNotValid(f"The {part} is not valid: {_reason(error)}", pointer=pointer) from error
