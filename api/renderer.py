"""Templates are rendered in a child of the front's: what hangs or bursts there takes down nothing else."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from api.rendering_child import BACK_STOP_SECONDS, Kept, begin, check_one, render_some, size_of
from shared.mail_templates import Content, TemplateError, TemplateSource, TemplateTooLarge, TemplateTooSlow

CHUNK = 250
MOST_SECONDS_TOGETHER = 30.0
MOST_CHARACTERS_TOGETHER = 64 * 1024**2

_T = TypeVar("_T")


class _ChildDied(Exception):
    """Is raised when the child did not live to answer; says how long it worked."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def blame(self) -> TemplateError:
        """Tell what the template did, should it have been the template."""
        if self.seconds >= BACK_STOP_SECONDS:
            return TemplateTooSlow("Rendering the template takes too long.")
        return TemplateTooLarge("Rendering the template needs more memory than it may.")


class _Together:
    """Counts what the renderings of one list take; `error` is what those that are left get."""

    def __init__(self) -> None:
        self.chunk = CHUNK
        self.error: TemplateError | None = None
        self._seconds = MOST_SECONDS_TOGETHER
        self._characters = MOST_CHARACTERS_TOGETHER

    def add(self, seconds: float, made: Sequence[Content | TemplateError]) -> None:
        """Count a piece."""
        self._seconds -= seconds
        self._characters -= sum(size_of(each) for each in made if isinstance(each, Content))
        if self._seconds < 0:
            self.error = TemplateTooSlow(f"Rendering the list takes longer than {MOST_SECONDS_TOGETHER:g} s.")
        elif self._characters < 0:
            self.error = TemplateTooLarge(f"The list makes more than {MOST_CHARACTERS_TOGETHER} characters.")

    def note(self, death: _ChildDied) -> None:
        """Go on one by one; the second death is one's own fault: the first may have been anybody's."""
        if self.chunk == 1:
            self.error = death.blame()
        self.chunk = 1


class Renderer:
    """Renders templates for one process; its child starts with the first call, and anew after it died.

    Callers take turns: a long list of variables is rendered in pieces. An error of a list carries `index`.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None

    async def check(self, source: TemplateSource) -> list[str]:
        """Name the variables that a source knows, sorted; raises `TemplateNotValid` and other `TemplateError`s."""
        try:
            return (await self._call(check_one, source))[1]
        except _ChildDied:
            try:
                return (await self._call(check_one, source))[1]
            except _ChildDied as death:
                raise death.blame() from None

    async def render(self, source: TemplateSource, variables: dict[str, Any]) -> Content:
        """Make what a message says, CSS inlined and text derived; raises `TemplateError`s."""
        return (await self.render_all(source, [variables], finished=True))[0]

    async def render_all(
        self, source: TemplateSource, variables: Sequence[dict[str, Any]], *, finished: bool = False
    ) -> list[Content]:
        """Render for each of the variables; raises the first `TemplateError`."""
        return _all_made(await self.render_each(source, variables, "finished" if finished else "unfinished"))

    async def render_subjects(self, source: TemplateSource, variables: Sequence[dict[str, Any]]) -> list[str]:
        """Render for each of the variables, but keep the subjects only; raises the first `TemplateError`."""
        return [content.subject for content in _all_made(await self.render_each(source, variables, "subject"))]

    async def render_each(
        self,
        source: TemplateSource,
        variables: Sequence[dict[str, Any]],
        kept: Kept = "finished",
        shared: Mapping[str, Any] | None = None,
    ) -> list[Content | TemplateError]:
        """Give for each of the variables, beside those that all share, what it makes, or its error.

        Together they may take 30 seconds and make 64 Mi characters: those beyond get the error of that.
        """
        made: list[Content | TemplateError] = []
        together = _Together()
        while len(made) < len(variables) and together.error is None:
            piece = variables[len(made) : len(made) + together.chunk]
            try:
                seconds, done = await self._call(render_some, source, shared or {}, piece, kept)
            except _ChildDied as death:
                together.note(death)
            else:
                made += done
                together.add(seconds, done)
        if (error := together.error) is not None:
            made += [type(error)(error.detail) for _ in variables[len(made) :]]
        for index, each in enumerate(made):
            if isinstance(each, TemplateError):
                each.index = index
        return made

    async def _call(self, call: Callable[..., _T], *given: Any) -> tuple[float, _T]:
        async with self._turn:
            if self._pool is None:
                spawn = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, spawn, initializer=begin, initargs=(os.getpid(),))
            pool, begun = self._pool, time.monotonic()
            try:
                answer = await asyncio.get_running_loop().run_in_executor(pool, call, *given)
            except BrokenProcessPool:
                self._pool = None
                pool.shutdown(wait=False)
                raise _ChildDied(time.monotonic() - begun) from None
            return time.monotonic() - begun, answer

    def close(self) -> None:
        """Drop the waiting work; the child ends by itself."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _all_made(made: Sequence[Content | TemplateError]) -> list[Content]:
    contents: list[Content] = []
    for each in made:
        if isinstance(each, TemplateError):
            raise each
        contents.append(each)
    return contents
