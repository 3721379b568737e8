"""Templates: what they may say, what they may not reach, and how much of everything they get."""

import socket
import subprocess
import sys
from typing import Any

import pytest

from ops.paths import ROOT
from shared.mail_templates import (
    Content,
    TemplateError,
    TemplateFailed,
    TemplateNotValid,
    TemplateSource,
    TemplateTooLarge,
    TemplateTooSlow,
    TemplateVariablesMissing,
    check_source,
    render,
)

VARIABLES: dict[str, Any] = {"one": 1, "long": "x" * 60_000, "user": {"name": "Ann"}, "list": [{"k": 1}, {"k": 2}]}


def render_text(text: str, **variables: Any) -> str | None:
    return render(TemplateSource("s", text, None), VARIABLES | variables).text


def render_page(page: str, **variables: Any) -> Content:
    return render(TemplateSource("s", None, page), VARIABLES | variables)


def test_only_html_is_escaped() -> None:
    source = TemplateSource("{{ v }}", "{{ v }}", "<p>{{ v }}{{ v|safe }}</p>")
    assert render(source, {"v": "<&>"}) == Content("<&>", "<&>", "<p>&lt;&amp;&gt;<&></p>")


def test_the_variables_of_a_source_are_named() -> None:
    source = TemplateSource(
        "{{ b.c }}", "{% for x in a %}{{ x }}{{ loop.index }}{{ range(2) }}{% endfor %}", "{% set d = range(2) %}"
    )
    assert check_source(source) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "part", "line"),
    [
        ("a\n{{ x", "text", 2),
        ("a\n\n{% for %}", "html", 3),
        ("{% nothing %}", "subject", 1),
        ("{{ x|nil }}", "text", 1),
    ],
)
def test_a_syntax_error_says_where(text: str, part: str, line: int) -> None:
    source = TemplateSource("s", "t", None)._replace(**{part: text})
    with pytest.raises(TemplateNotValid, match=f"line {line}") as raised:
        check_source(source)
    assert raised.value.pointer == f"/{part}"


def test_all_missing_variables_are_named_at_once() -> None:
    text = "{{ a }}{{ user.name }}{{ user.city.zip }}{% for x in b %}{{ x }}{% endfor %}{% if c == 1 %}{% endif %}"
    with pytest.raises(TemplateVariablesMissing) as raised:
        render(TemplateSource("{{ d }}", text, "{{ list[7] }}"), VARIABLES)
    names = ("d", "a", "user.city.zip", "b", "c", "list[7]")
    assert raised.value.names == names
    assert all(name in raised.value.detail for name in names)


def test_what_is_missing_may_have_a_default_and_be_asked_for() -> None:
    assert (
        render_text("{{ a|default('y') }}{{ a.b|default('z') }}{{ a is defined }}{{ a is undefined }}") == "yzFalseTrue"
    )


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ list|map('attr', '__class__')|list }}",
        "{{ list|map(attribute='__class__')|list }}",
        "{{ list|groupby('__class__')|list }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ '{0.__class__}'|format(1) }}",
        "{{ [''.format]|map(attribute='__self__')|list }}",
        "{{ self.__init__ }}",
        "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
        "{{ user.keys().mapping }}",
        "{{ long.encode() }}",
        "{{ dict }}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends long %}",
    ],
)
def test_nothing_of_python_is_reached(text: str) -> None:
    for source in (TemplateSource("s", text, None), TemplateSource("s", None, text), TemplateSource(text, "t", None)):
        with pytest.raises((TemplateFailed, TemplateNotValid)):
            render(source, VARIABLES)


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [0] * 10**9 }}",
        "{{ 10**(10**8) }}",
        "{{ 2**4096 }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x'.zfill(10**9) }}",
        "{{ 'x'|center(10**9) }}",
        "{{ 'x'|indent(10**9) }}",
        "{{ '%9999999d' % 1 }}",
        "{{ '%*d' % (10**9, 1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=10**9) }}",
        "{{ user|tojson(indent=10**8) }}",
        "{{ list|batch(10**9, 'x')|list }}",
        "{{ long.replace('x', long) }}",
        "{{ long|join(long) }}",
        "{{ range(10**9)|list }}",
        "{{ " + " ~ ".join(["long"] * 18) + " }}",
        "{% for i in range(10000) %}{{ long }}{% endfor %}",
        "{% set x %}{% for i in range(10000) %}{{ long }}{% endfor %}{% endset %}",
        "{% set n = namespace(a=[]) %}{% for i in range(99) %}{% set n.a = [n.a, n.a] %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    ],
)
def test_nothing_grows_beyond_its_bounds(text: str) -> None:
    for source in (TemplateSource("s", text, None), TemplateSource("s", None, text)):
        with pytest.raises((TemplateTooLarge, TemplateFailed)):
            render(source, VARIABLES)


def test_a_rendering_is_broken_into() -> None:
    with pytest.raises(TemplateTooSlow):
        render_text("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
    assert render_text("{{ one }}") == "1"


@pytest.mark.parametrize("subject", ["a\r\nBcc: evil@example.org", "a\nb", "a\u2028b", "a\x00b", "\ud800", "x" * 999])
def test_a_subject_is_one_line(subject: str) -> None:
    with pytest.raises(TemplateError):
        render(TemplateSource("Re: {{ v }}", "t", None), {"v": subject})


def test_css_is_inlined_but_for_media_queries() -> None:
    page = "<style>p{color:red} @media (max-width:9px){p{color:blue}}</style><p>x</p>"
    made = render_page(page).html
    assert made is not None
    assert '<p style="color: red;">x</p>' in made
    assert "@media (max-width:9px){p{color:blue}}" in made
    assert render_page("<p>{{ one }}</p>").html == "<p>1</p>"
    assert render(TemplateSource("s", None, page), {}, finished=False) == Content("s", None, page)


def test_a_text_is_derived_without_what_is_not_shown() -> None:
    page = (
        "<head><title>title</title><style>p{color:red}</style></head><body><script>alert(1)</script>"
        "<p>Dear {{ user.name }},</p><ul><li>One</li></ul><a href='https://example.org/?a=1&amp;b=2'>See</a></body>"
    )
    text = render_page(page).text or ""
    assert "Dear Ann," in text
    assert "* One" in text
    assert "See" in text
    assert "https://example.org/?a=1&b=2" in text
    assert not any(word in text for word in ("title", "alert", "color"))
    assert render(TemplateSource("s", "own", page), VARIABLES).text == "own"


def test_nothing_is_loaded(tmp_path: Any) -> None:
    (tmp_path / "a.css").write_text("p { color: lime }")
    with socket.create_server(("127.0.0.1", 0)) as server:
        web = f"http://127.0.0.1:{server.getsockname()[1]}/a.css"
        links = "".join(f'<link rel="stylesheet" href="{at}">' for at in (f"file://{tmp_path}/a.css", web))
        made = render_page(f"<style>@import url({web}); p {{ margin: 0 }}</style>{links}<p>x</p>").html
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert made is not None
    assert "lime" not in made
    assert "margin: 0" in made


# In a process of its own, whose memory is measured.
GREEDY = """
import resource
from shared.mail_templates import TemplateError, TemplateSource, render
page = "{% macro m() %}{% for i in range(9999) %}{{ long }}{% endfor %}{% endmacro %}{{ m()|length }}"
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    render(TemplateSource("s", None, page), {"long": "<" * 60_000})
except TemplateError as error:
    print(error.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000)
"""


def test_a_macro_does_not_keep_more_than_may_be_shown() -> None:
    ended = subprocess.run([sys.executable, "-c", GREEDY], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert ended.stdout.split() == ["template_too_large", "True"]


def test_what_a_page_hides_is_not_said_and_its_paddings_are_no_spaces() -> None:
    page = "<style>.pre {display: none !important}</style><div class=pre>hidden</div><p style='padding-left:9em'>x</p>"
    assert render_page(page).text == "x\n"
    assert render_page("<img src=x>").text is None


@pytest.mark.parametrize(
    "page",
    [
        # Nested so deeply, the inliner ends its process.
        "{% for i in range(9999) %}<div>{% endfor %}{% for i in range(2500) %}<div>{% endfor %}",
        "<p>{% for i in range(2000) %}<b a={{ i }}>{% endfor %}</p>{% for i in range(2000) %}<p>x{% endfor %}",
        "<style>{% for i in range(9000) %}p{color:red}{% endfor %}</style>{% for i in range(4000) %}<p>{% endfor %}",
    ],
)
def test_a_page_is_too_much_for_the_inliner(page: str) -> None:
    with pytest.raises(TemplateTooLarge):
        render_page(f"<style>p{{color:red}}</style>{page}")


@pytest.mark.parametrize("attribute", [" a{}=1", " a{}", "/a{}", " a{} = '>'", 'a{}="<p>"', " a{}=", "\na{}='\"'"])
def test_an_element_with_thousands_of_attributes_is_refused(attribute: str) -> None:
    page = "<p " + "".join(attribute.format(number) for number in range(9000)) + ">x"
    with pytest.raises(TemplateTooLarge, match="attributes"):
        render_page("{{ v|safe }}", v=page)
    assert render_page("{{ v|safe }}", v='<p a="' + "b = 1 > " * 9000 + '">x').text == "x\n"
