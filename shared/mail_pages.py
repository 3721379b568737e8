"""The HTML pages of mails: their CSS moved into the elements, and the text that they say."""

import re

from css_inline import CSSInliner, InlineError
from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_properties import Display
from inscriptis.model.config import ParserConfig
from inscriptis.model.html_element import HtmlElement

from shared.mail_templates import LARGEST_OUTPUT, TemplateFailed, TemplateTooLarge

MOST_ELEMENTS = 5000
"""With CSS to inline. The parser uses the stack for what is nested: 8 MiB are gone with 10,000 levels."""

_LARGEST_INLINED = 256 * 1024
_LARGEST_MATCHING = 200_000_000
_MOST_REOPENED = 2_000_000

_CSS = re.compile(r"<style\b[^>]*>(.*?)(?:</style|\Z)", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"(?:^|;)\s*display\s*:\s*none\b", re.IGNORECASE)
_ELEMENT = re.compile(r"<[a-z]", re.IGNORECASE)
# What stays open at a paragraph's end is opened again in each that follows.
_FORMATTING = re.compile(r"<(?:a|b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s/>]", re.IGNORECASE)

# Parsers compare each attribute with all before it in its tag: thousands take minutes. Read as HTML's standard says.
_CROWDED = re.compile(
    r"""<[a-z][^\s/>]*+(?:(?>[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*"|'[^']*'|[^\s>"'][^\s>]*+)?)?)){1000}""",
    re.IGNORECASE,
)

# A mail program loads no stylesheet; ours neither. Media queries stay in a <style>, for programs that know them.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
_TEXT = ParserConfig(css=STRICT_CSS_PROFILE, display_links=True)


def _hide(style: str, element: HtmlElement) -> None:
    if _HIDDEN.search(style):
        element.display = Display.none


# Of styles only what hides something. A page's paddings are no text's, and a page could ask for any number of spaces.
_TEXT.attribute_handler.attribute_mapping = {"style": _hide}


def inline_css(page: str) -> str:
    """Move the rules of <style> into the elements; a page without is given back as it is.

    Nothing is loaded. Raises `TemplateTooLarge` for more elements, attributes or rules than can be read and matched in
    a moment, and `TemplateFailed` for CSS that cannot be read.
    """
    if _CROWDED.search(page):
        raise TemplateTooLarge("An element of the html may have 1000 attributes.")
    css = sum(len(rules) for rules in _CSS.findall(page))
    if not css:
        return page
    _require_moderate(page, css)
    try:
        inlined = _INLINER.inline(page)
    except InlineError as error:
        raise TemplateFailed(f"The CSS of the html cannot be inlined: {str(error)[:300]}") from error
    if len(inlined) > LARGEST_OUTPUT:
        raise TemplateTooLarge(f"With its CSS inlined the html has more than {LARGEST_OUTPUT} characters.")
    return inlined


def _require_moderate(page: str, css: int) -> None:
    # Nothing can break into the inliner, nor does it bound its memory.
    if len(page) > _LARGEST_INLINED:
        raise TemplateTooLarge(f"An html with a <style> may have {_LARGEST_INLINED} characters.")
    elements = len(_ELEMENT.findall(page))
    if elements > MOST_ELEMENTS:
        raise TemplateTooLarge(f"An html with a <style> may have {MOST_ELEMENTS} elements.")
    if elements * css > _LARGEST_MATCHING or elements * len(_FORMATTING.findall(page)) > _MOST_REOPENED:
        raise TemplateTooLarge("The html has too much CSS, or too many links and the like, for so many elements.")


def text_of(page: str) -> str | None:
    """Derive what a page says that `inline_css` gave, with the targets of its links; None when it says nothing.

    Raises `TemplateFailed` for a page that is nested too deeply, `TemplateTooLarge`.
    """
    try:
        text = get_text(page, _TEXT).strip("\n")
    except RecursionError:
        raise TemplateFailed("The html is nested too deeply to derive a text from it; give the template one.") from None
    if len(text) > LARGEST_OUTPUT:
        raise TemplateTooLarge(f"The text of the html has more than {LARGEST_OUTPUT} characters.")
    return f"{text}\n" if text.strip() else None
