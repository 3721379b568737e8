"""Methods that block on a `Jobyard` and are awaited on an `AsyncJobyard`, written once as flows.

Each resource (`Jobs`, `Files`, …) is one class with a parameter, its runner. `call` makes a method of a flow and
`stream` one of a stream; what such a method gives follows from the runner, for type checkers too.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from jobyard.flows import Flow, Stream
from jobyard.session import Session
from jobyard.sync_runner import SyncRunner

if TYPE_CHECKING:
    from jobyard.async_runner import AsyncRunner

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", SyncRunner, "AsyncRunner")


class Resource(Generic[R]):
    """Is the base of what has methods made by `call` and `stream`."""

    def __init__(self, session: Session, runner: R) -> None:
        self.session = session
        self.runner: R = runner


class call(Generic[P, T]):  # noqa: N801 - a decorator
    """Makes a method of a flow: it gives the flow's value, or an awaitable of it."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.__doc__ = flow.__doc__

        @wraps(flow)
        def run(self: Resource[SyncRunner], *given: P.args, **named: P.kwargs) -> T:
            return self.runner.run(flow(self, *given, **named))

        @wraps(flow)
        async def run_async(self: "Resource[AsyncRunner]", *given: P.args, **named: P.kwargs) -> T:
            return await self.runner.run(flow(self, *given, **named))

        self._run = run
        self._run_async = run_async

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[SyncRunner], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: "Resource[AsyncRunner]", owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else _bound(instance, self._run, self._run_async)


class stream(Generic[P, T]):  # noqa: N801 - a decorator
    """Makes a method of a stream: it gives an iterator, or an asynchronous one; closing it ends the stream."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Stream[T]]) -> None:
        self.__doc__ = flow.__doc__

        @wraps(flow)
        def run(self: Resource[SyncRunner], *given: P.args, **named: P.kwargs) -> Generator[T]:
            return self.runner.iterate(flow(self, *given, **named))

        @wraps(flow)
        def run_async(self: "Resource[AsyncRunner]", *given: P.args, **named: P.kwargs) -> AsyncGenerator[T]:
            return self.runner.iterate(flow(self, *given, **named))

        self._run = run
        self._run_async = run_async

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[SyncRunner], owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, instance: "Resource[AsyncRunner]", owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else _bound(instance, self._run, self._run_async)


def _bound(instance: Any, run: Callable[..., Any], run_async: Callable[..., Any]) -> Any:
    return MethodType(run if isinstance(instance.runner, SyncRunner) else run_async, instance)
