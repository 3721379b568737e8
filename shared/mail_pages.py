"""The HTML pages of mails: their CSS moved into the elements, and the text that they say."""

import re

from css_inline import CSSInliner, InlineError
from inscriptis import get_text
from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.model.config import ParserConfig

from shared.mail_templates import LARGEST_OUTPUT, TemplateFailed, TemplateTooLarge

_STYLE = re.compile(r"<style\b", re.IGNORECASE)
_LARGEST_MATCHING = 100_000_000

# A mail program loads no stylesheet; ours neither. Media queries stay in a <style>, for programs that know them.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True, keep_link_tags=False)
_TEXT = ParserConfig(css=STRICT_CSS_PROFILE, display_links=True)


def inline_css(page: str) -> str:
    """Move the rules of <style> into the elements; a page without is given back as it is.

    Raises `TemplateTooLarge` for too many rules on too many elements, `TemplateFailed` for what cannot be read.
    """
    if not _STYLE.search(page):
        return page
    try:
        inlined = _INLINER.inline(page)
    except InlineError as error:
        raise TemplateFailed(f"The CSS of the html cannot be inlined: {str(error)[:300]}") from error
    if len(inlined) > LARGEST_OUTPUT:
        raise TemplateTooLarge(f"With its CSS inlined the html has more than {LARGEST_OUTPUT} characters.")
    return inlined


def text_of(page: str) -> str:
    """Derive what a page says, with the targets of its links; raises `TemplateFailed` for one nested too deeply."""
    try:
        return get_text(page, _TEXT).strip("\n") + "\n"
    except RecursionError:
        raise TemplateFailed("The html is nested too deeply to derive a text from it; give the template one.") from None
