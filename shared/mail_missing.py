"""Variables that a template asks for and was not given: collected, so that all of them can be named at once."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn, cast

from jinja2 import Undefined, UndefinedError
from jinja2.utils import missing as nothing

from shared.mail_templates import Step

_MOST_ABSENCES = 100


class Absences:
    """Holds the paths of what one rendering missed; `variables` is what it was given."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self.paths: dict[tuple[Step, ...], None] = {}

    def add(self, path: tuple[Step, ...]) -> None:
        """Note a path."""
        if len(self.paths) < _MOST_ABSENCES:
            self.paths[path] = None

    def path_to(self, value: object) -> tuple[Step, ...] | None:
        """Find a value among the variables; what the template itself made is not there."""
        waiting = deque[tuple[tuple[Step, ...], object]]([((), self._variables)])
        while waiting:
            path, at = waiting.popleft()
            if at is value:
                return path
            if isinstance(at, Mapping):
                waiting += [((*path, key), inside) for key, inside in cast("Mapping[str, object]", at).items()]
            elif isinstance(at, list):
                waiting += [((*path, index), inside) for index, inside in enumerate(cast("list[object]", at))]
        return None


class Missing(Undefined):
    """Is a variable that was not given.

    It may be tested for and may have a default. Any other use is noted in `absences` and goes on as if it were empty:
    the rendering is in vain, but comes to the next one that is missing.
    """

    __slots__ = ()
    absences: ClassVar[Absences] = Absences({})

    def path(self) -> tuple[Step, ...] | None:
        """Tell where it would stand among the variables; None for what is no variable (the first item of none)."""
        if self._undefined_hint:
            return None
        if self._undefined_obj is nothing:
            within: tuple[Step, ...] | None = ()
        elif isinstance(self._undefined_obj, Missing):
            within = self._undefined_obj.path()
        else:
            within = self.absences.path_to(self._undefined_obj)
        return None if within is None else (*within, cast("Step", self._undefined_name))

    def note(self) -> None:
        """Note that it was used; raises `UndefinedError` for what is no variable."""
        path = self.path()
        if path is None:
            raise UndefinedError(self._undefined_message)
        self.absences.add(path)

    def _fail_with_undefined_error(self, *_: object, **__: object) -> NoReturn:
        self.note()
        raise UndefinedError(self._undefined_message)

    def _self(self, *_: object, **__: object) -> "Missing":
        self.note()
        return self

    def _false(self, *_: object) -> bool:
        self.note()
        return False

    def __str__(self) -> str:
        self.note()
        return ""

    def __len__(self) -> int:
        self.note()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self.note()
        yield from ()

    def __hash__(self) -> int:
        self.note()
        return 0

    def __eq__(self, other: object) -> bool:
        return self._false(other)

    def __ne__(self, other: object) -> bool:
        return self._false(other)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _self
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __pos__ = __neg__ = _self
    __call__ = __getitem__ = _self
    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __bool__ = _false
