"""Kinds of job: the `@job` decorator and the registry that the API and the workers build on."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any, Literal, cast, get_type_hints
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.file_limits import Bytes, FileLimits, bytes_of
from shared.settings import Settings, environment_name

QUEUES = ("default", "images", "mail", "archives", "webhooks", "maintenance")

Access = Literal["public", "operator", "internal"]
Handler = Callable[..., Any]


class JobInput(BaseModel):
    """Is the base of every kind's input model: unknown fields are refused, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def file_ids(self) -> list[UUID]:
        """Name the files that the job needs: they must be the owner's and cannot be deleted while it lives."""
        return []


class JobResult(BaseModel):
    """Is the base of every kind's result model."""

    model_config = ConfigDict(frozen=True)


@dataclass(frozen=True, slots=True)
class JobKind:
    """Is everything known about a kind of job."""

    name: str
    handler: Handler
    input_model: type[JobInput]
    result_model: type[JobResult]
    queue: str
    timeout: timedelta
    max_attempts: int
    access: Access
    backoff: timedelta
    backoff_cap: timedelta
    concurrency: int | None
    concurrency_per_key: int
    interruptible: bool
    silent: bool
    media_types: frozenset[str] | None
    max_file_bytes: Bytes | None
    max_total_bytes: Bytes | None

    def __post_init__(self) -> None:
        """Refuse what could never run."""
        if self.queue not in QUEUES:
            raise ValueError(f"queue {self.queue!r} is none of {', '.join(QUEUES)}")
        if self.concurrency_per_key < 1 or (self.concurrency is not None and self.concurrency < 1):
            raise ValueError(f"{self.name}: a limit below 1 would never let a job run")

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    def file_limits(self, settings: Settings) -> FileLimits:
        """Tell what files a job of this kind takes under these settings."""
        each, together = (bytes_of(limit, settings) for limit in (self.max_file_bytes, self.max_total_bytes))
        return FileLimits(self.media_types, each, together)


class DuplicateJobKind(ValueError):
    """Says that two handlers claim one name."""


_kinds: dict[str, JobKind] = {}


def job(
    name: str,
    *,
    queue: str = "default",
    timeout: timedelta = timedelta(minutes=5),
    max_attempts: int = 3,
    access: Access = "public",
    backoff: timedelta = timedelta(seconds=2),
    backoff_cap: timedelta = timedelta(minutes=10),
    concurrency: int | None = None,
    concurrency_per_key: int = 1,
    interruptible: bool = True,
    silent: bool = False,
    media_types: frozenset[str] | None = None,
    max_file_bytes: Bytes | None = None,
    max_total_bytes: Bytes | None = None,
) -> Callable[[Handler], Handler]:
    """Register a handler `(input, context) -> result` as a kind of job; its annotations name the models.

    `timeout` bounds one attempt. `backoff` is the base of the exponential delay between attempts, `backoff_cap` its
    most. `concurrency` bounds how many jobs of the kind run at once, all workers together; `concurrency_per_key` how
    many of one owner's that share a `concurrency_key`. Jobs handed to Celery but not yet begun count as running.
    Unless it is `interruptible=False`, a handler that does not look is broken into when its job is cancelled or lost,
    or its worker stops; see `JobContext`. Jobs of a `silent` kind make no events, and streams, lists and bulk actions
    leave them out unless they name the kind or the job. The last three say what files a job takes, each and together:
    a job that needs others is refused when it is enqueued; bytes may be a function of the settings.
    Raises `TypeError` for missing annotations, `DuplicateJobKind`, `ValueError` for a queue or limit that cannot be.
    """

    def register(handler: Handler) -> Handler:
        input_model, result_model = _models_of(handler)
        _register(
            JobKind(
                name, handler, input_model, result_model, queue, timeout, max_attempts, access, backoff, backoff_cap,
                concurrency, concurrency_per_key, interruptible, silent, media_types, max_file_bytes, max_total_bytes,
            )
        )  # fmt: skip
        return handler

    return register


def _register(kind: JobKind) -> None:
    known = _kinds.get(kind.name)
    if known is not None and known.handler.__module__ != kind.handler.__module__:
        raise DuplicateJobKind(f"{kind.name} is defined in {known.handler.__module__} and {kind.handler.__module__}")
    _kinds[kind.name] = kind


def _models_of(handler: Handler) -> tuple[type[JobInput], type[JobResult]]:
    hints = get_type_hints(handler)
    parameters = list(inspect.signature(handler).parameters)
    found = [hints.get(parameters[0]) if parameters else None, hints.get("return")]
    for model, base in zip(found, (JobInput, JobResult), strict=True):
        if not (isinstance(model, type) and issubclass(model, base)):
            raise TypeError(
                f"{handler.__module__}.{handler.__name__}: annotate the input as a JobInput, the result as a JobResult"
            )
    return cast("type[JobInput]", found[0]), cast("type[JobResult]", found[1])


def load_job_kinds(modules: Iterable[str]) -> dict[str, JobKind]:
    """Import modules (of a package, its direct members too) and give the kinds that they define, by name.

    A module that is not there ends the process with one line that names the setting; what a module raises when it is
    imported is raised.
    """
    loaded: set[str] = set()
    for name in modules:
        module = _import(name)
        loaded.add(name)
        for member in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
            importlib.import_module(member.name)
            loaded.add(member.name)
    return {kind.name: kind for kind in _kinds.values() if kind.handler.__module__ in loaded}


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that is missing deeper down is the named module's own fault and needs its traceback.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        sys.exit(f"{environment_name('job_modules')}: there is no module {name}")
