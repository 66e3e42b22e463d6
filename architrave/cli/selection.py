"""Which model a command is about: its name, its static arguments, its decisions; and sizes for its dimensions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from architrave.ir.source import ArchitraveError, error, nearest

if TYPE_CHECKING:
    from architrave.dsl.elaborate.model import Elaborated
    from architrave.dsl.space import Domain
    from architrave.ir.graph import Graph
    from architrave.models import Named

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Selection:
    """A model as the command line names it."""

    name: str
    model: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    decisions: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def named(self) -> Named:
        """What the name means. Raises E606, E601, E610."""
        from architrave.models import find, find_in_text

        if self.name == "-":
            return find_in_text(sys.stdin.read(), self.model, "<stdin>")
        return find(self.name if self.model is None else f"{self.name}:{self.model}")

    def elaborate(self, *, keep_choices: bool = False) -> Elaborated:
        """The model, built. Raises `ArchitraveError`."""
        return self.named.elaborate(self.arguments, self.decisions, keep_choices=keep_choices)

    def graph(self) -> Graph:
        """The graph of the model. Raises `ArchitraveError`."""
        return self.elaborate().graph

    def domains(self) -> Mapping[str, Domain]:
        """The decisions of the model's search space. Raises E455 where they are too many to find."""
        from architrave.dsl.space import domains

        return domains(self.named.type(), self.arguments)


def model_options(command: F) -> F:
    """`--model`, `--set` and `--decide`."""
    value = 'a number, true, false, none, a "string", or a [list] of these'
    for option in (
        click.option(
            "--decide",
            "decisions",
            multiple=True,
            metavar="PATH=LABEL",
            callback=_decisions,
            help="Take an alternative of a choice. May be repeated.",
        ),
        click.option(
            "--set",
            "arguments",
            multiple=True,
            metavar="NAME=VALUE",
            callback=_arguments,
            help=f"Give a static argument: {value}. May be repeated.",
        ),
        click.option("--model", "model", metavar="NAME", help="The model of the file, as in FILE:NAME."),
    ):
        command = option(command)
    return command


def _pairs(texts: tuple[str, ...], parameter: click.Parameter) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"`{text}` is not of the form {parameter.metavar}", param=parameter)
        pairs.append((name.strip(), value.strip()))
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"`{name}` is given twice", param=parameter)
    return pairs


def _decisions(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    return dict(_pairs(texts, parameter))


def _arguments(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    return {name: literal(value) for name, value in _pairs(texts, parameter)}


def sizes_option(flag: str, text: str) -> Callable[[F], F]:
    """An option that gives symbolic dimensions their sizes: `N=1,H=224`, and repeated."""
    return click.option(flag, "sizes", multiple=True, metavar="NAME=SIZE", callback=_sizes, help=text)


def _sizes(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, int]:
    parts = tuple(part for text in texts for part in text.split(",") if part.strip())
    found: dict[str, int] = {}
    for name, value in _pairs(parts, parameter):
        if not (value.isascii() and value.isdecimal() and len(value) < 19):
            raise click.BadParameter(f"the size of `{name}` must be a whole number, not `{value}`", param=parameter)
        found[name] = int(value)
    return found


def check_sizes(graph: Graph, sizes: Mapping[str, int]) -> None:
    """Raises E702 for a size of a dimension that the graph lacks."""
    for name in sizes:
        if name not in graph.symbols:
            known = f"it has {', '.join(graph.symbols)}" if graph.symbols else "it has none"
            hint = nearest(name, graph.symbols) or known
            raise error("E702", f"`{graph.name}` has no symbolic dimension `{name}`", hint=hint)


def literal(text: str) -> Any:
    """A literal of the language, read by the language's own parser. Raises E701."""
    from architrave.dsl.parser import parse
    from architrave.dsl.syntax import Const
    from architrave.ir.source import Source

    try:
        file = parse(Source("--set", f"const value = {text}\n"))
    except ArchitraveError:
        raise _not_a_literal(text) from None
    match file.declarations:
        case (Const(value=value),) if file.language is None:
            return _value(value, text)
        case _:
            raise _not_a_literal(text)


def _value(node: Any, text: str) -> Any:
    # The parser bounds how deeply expressions nest, so recursion is safe.
    from architrave.dsl.syntax import Boolean, Float, Integer, ListLiteral, NoneLiteral, String, TupleLiteral, Unary

    match node:
        case Integer(value) | Float(value) | String(value) | Boolean(value):
            return value
        case NoneLiteral():
            return None
        case ListLiteral(items):
            return [_value(item, text) for item in items]
        case TupleLiteral(items):
            return tuple(_value(item, text) for item in items)
        case Unary(operator="-", operand=Integer(value) | Float(value)):
            return -value
        case _:
            raise _not_a_literal(text)


def _not_a_literal(text: str) -> Exception:
    hint = "a value is a number, true, false, none, a string in double quotes, or a list of these"
    if text.isidentifier():
        hint = f"a string stands in double quotes, which the shell must not take: '\"{text}\"'"
    return error("E701", f"`{text[:80]}` is not a value", hint=hint)
