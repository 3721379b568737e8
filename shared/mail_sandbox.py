"""The sandbox in which templates run: JSON and what can be made of it, within bounds, and nothing of Python."""

from typing import Any

from jinja2 import TemplateAssertionError, nodes
from jinja2.defaults import DEFAULT_NAMESPACE
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Namespace
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from shared import mail_bounds as bounds
from shared import mail_filters as filters
from shared.mail_missing import Missing
from shared.mail_templates import TemplateFailed

_STR = frozenset(
    (
        "capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdecimal", "isdigit",
        "islower", "isnumeric", "isspace", "istitle", "isupper", "lower", "lstrip", "partition", "removeprefix",
        "removesuffix", "rfind", "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith",
        "strip", "swapcase", "title", "upper",
    )
)  # fmt: skip
_PADDING = frozenset(("center", "ljust", "rjust", "zfill"))
_ATTRIBUTES: dict[type, frozenset[str]] = {
    str: _STR,
    Markup: _STR,
    dict: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    filters.GROUP: frozenset(("grouper", "list")),
    LoopContext: frozenset(
        (
            "changed", "cycle", "depth", "depth0", "first", "index", "index0", "last", "length", "nextitem", "previtem",
            "revindex", "revindex0",
        )
    ),
    Cycler: frozenset(("current", "next", "reset")),
}  # fmt: skip
_WITH_PARTS = (dict, list, tuple, int, float, type(None), Missing, Namespace)
_LITERAL = "weighed"
_LOADING = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)


class Sandbox(ImmutableSandboxedEnvironment):
    """Is an environment without a loader: it reaches only what is on a list, and every value is bounded."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))
    concat = staticmethod(bounds.concatenate)

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape, undefined=Missing, finalize=bounds.shown, optimized=False, cache_size=0, loader=None
        )
        self.binop_table = {"+": bounds.add, "*": bounds.multiply, "**": bounds.power, "%": bounds.remainder}
        self.filters = dict(filters.FILTERS) | {_LITERAL: bounds.weighed}
        names: dict[str, Any] = {name: DEFAULT_NAMESPACE[name] for name in ("cycler", "dict", "joiner", "namespace")}
        self.globals = names | {"range": bounds.bounded_range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Give what a dot leads to: what an object has by this name, else a method on the list."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, str):
            return self._str_attribute(obj, attribute)
        if attribute in _ATTRIBUTES.get(type(obj), ()):
            return getattr(obj, attribute)
        _require_harmless(attribute, known=not isinstance(obj, _WITH_PARTS))
        if isinstance(obj, Namespace):
            return getattr(obj, attribute, self.undefined(obj=obj, name=attribute))
        return self.undefined(obj=obj, name=attribute)

    def _str_attribute(self, text: str, attribute: str) -> Any:
        match attribute:
            case "format":
                return bounds.format_by(self, text)
            case "join":
                return bounds.join_by(text)
            case "replace":
                return bounds.replace_in(text)
            case _ if attribute in _PADDING:
                return bounds.pad(getattr(text, attribute))
            case _ if attribute in _STR:
                return getattr(text, attribute)
            case _:
                _require_harmless(attribute, known=hasattr(text, attribute))
                return self.undefined(obj=text, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Give what brackets lead to."""
        if isinstance(obj, dict | list | tuple | str | range):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                pass
        return self.getattr(obj, argument) if isinstance(argument, str) else self.undefined(obj=obj, name=argument)

    def call(self, context: Context, called: Any, *values: Any, **named: Any) -> Any:
        """Call what can be reached, which is all harmless."""
        if isinstance(called, Missing):
            called.note()
            return called
        return bounds.weighed(context.call(called, *values, **named))

    def parse_bounded(self, source: str) -> nodes.Template:
        """Read a source; raises `TemplateSyntaxError`."""
        tree = self.parse(source)
        for loading in tree.find_all(_LOADING):
            raise TemplateAssertionError("Templates cannot use other templates", loading.lineno)
        for name, known in ((nodes.Filter, self.filters), (nodes.Test, self.tests)):
            for used in tree.find_all(name):
                if used.name not in known:
                    raise TemplateAssertionError(f"There is no {name.__name__.lower()} {used.name!r}", used.lineno)
        return _Bounding().visit(tree)


def _require_harmless(attribute: str, *, known: bool) -> None:
    if known or attribute.startswith("_"):
        raise TemplateFailed(f"The template may not use {attribute[:100]!r} here.")


class _Bounding(NodeTransformer):
    """Has filters weigh what is made by other means than operators, calls and filters."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - named for what it visits
        self.generic_visit(node)
        return _filter(nodes.List(node.nodes, lineno=node.lineno), "join")

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - likewise
        self.generic_visit(node)
        return _filter(node, _LITERAL)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - likewise
        self.generic_visit(node)
        return _filter(node, _LITERAL)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - likewise
        self.generic_visit(node)
        return _filter(node, _LITERAL) if node.ctx == "load" else node


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
