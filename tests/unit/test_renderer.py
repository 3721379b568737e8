"""The renderer's child: it answers in order, tells its errors apart, and is replaced when it dies."""

import asyncio
import multiprocessing
from typing import Any

import psutil
import pytest

from api.renderer import CHUNK, Renderer
from shared.mail_templates import Content, TemplateSource, TemplateTooLarge, TemplateVariablesMissing

SOURCE = TemplateSource("{{ n }}", None, "<p>{{ n }}</p>")
COUNT = CHUNK + 2


def variables(count: int) -> list[dict[str, Any]]:
    return [{"n": index} for index in range(count)]


def kill_children() -> None:
    (child,) = multiprocessing.active_children()
    psutil.Process(child.pid).kill()


async def ask() -> None:
    renderer = Renderer()
    try:
        listed = variables(COUNT)
        assert await renderer.render_subjects(SOURCE, listed) == [str(index) for index in range(COUNT)]
        assert await renderer.render(SOURCE, listed[7]) == Content("7", "7\n", "<p>7</p>")
        assert await renderer.render_all(SOURCE, listed[:1]) == [Content("0", None, "<p>0</p>")]

        del listed[COUNT - 1]["n"]
        with pytest.raises(TemplateVariablesMissing) as raised:
            await renderer.render_all(SOURCE, listed)
        assert (raised.value.index, raised.value.names) == (COUNT - 1, ("n",))
        large = SOURCE._replace(html="{% if n == 1 %}{{ 'a' * 10**9 }}{% endif %}")
        first, second, third = await renderer.render_each(large, variables(3))
        assert isinstance(first, Content)
        assert isinstance(second, TemplateTooLarge)
        assert isinstance(third, Content)

        kill_children()
        assert await renderer.check(SOURCE) == ["n"]
        kill_children()
        assert await renderer.render_subjects(SOURCE, variables(COUNT)) == [str(index) for index in range(COUNT)]
    finally:
        renderer.close()


def test_a_child_answers_and_is_replaced() -> None:
    asyncio.run(ask())
