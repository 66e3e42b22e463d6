"""`expect` lines: what a file says of its models, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Build, Frame, Names, evaluate
from architrave.dsl.elaborate.expressions import arguments
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.elaborate.conversions import to_condition, to_int
from architrave.dsl.elaborate.values import BlockType, describe
from architrave.dsl.modules import Module
from architrave.dsl.space import space_size
from architrave.ir import cost
from architrave.ir.graph import Graph
from architrave.ir.place import Place
from architrave.ir.source import Span, error


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation holds, and the values that its names have."""

    text: str
    span: Span
    holds: bool
    values: Mapping[str, Any]


def check(module: Module, model: str | None = None) -> list[Outcome]:
    """The outcome of each expectation of a file, or of those about one model.

    Raises `ArchitraveError` where one cannot be evaluated.
    """
    return [outcome(e, module) for e in module.expectations if model in (None, e.model.span.text)]


def outcome(node: syntax.Expect, module: Module) -> Outcome:
    """Elaborate the model that an expectation names and evaluate its condition."""
    frame = Frame(Build(), {}, module.globals, Place(""), Names())
    model = evaluate(node.model, frame)
    if not isinstance(model, BlockType) or not isinstance(model.tree, syntax.Model):
        raise error("E290", f"`expect` is about a model, not {describe(model)}", node.model.span)
    positional, named = arguments(node.arguments, frame)
    if positional:
        raise error("E290", "the arguments of an expectation are named", node.span)
    graph = elaborate(model, named).graph
    sizes = {a.name.text: to_int(evaluate(a.value, frame), a.span, "a size") for a in node.sizes if a.name is not None}
    for name in sizes:
        if name not in graph.symbols:
            known = ", ".join(graph.symbols) or "none"
            raise error(
                "E291",
                f"`{node.model.span.text}` has no symbolic dimension `{name}`",
                node.span,
                hint=f"it has {known}",
            )
    values = {n: _quantity(n, graph, sizes, model, named, node) for n in _used(node.condition) if n in QUANTITIES}
    scope: dict[str, Any] = {**{s: _symbol(s) for s in graph.symbols}, **sizes, **values}
    condition = Frame(Build(), scope, module.globals, Place(""), Names())
    holds = to_condition(evaluate(node.condition, condition), node.condition.span)
    return Outcome(node.span.text, node.span, holds, values)


def _symbol(name: str) -> Any:
    from architrave.ir.dims import symbol

    return symbol(name)


def _quantity(
    name: str, graph: Graph, sizes: Mapping[str, int], model: BlockType, named: Mapping[str, Any], node: syntax.Expect
) -> Any:
    if name == "space":
        return space_size(model, named)
    value = QUANTITIES[name](graph, sizes)
    return value


QUANTITIES: dict[str, Callable[[Graph, Mapping[str, int]], Any]] = {
    "params": lambda graph, sizes: cost.parameters(graph),
    "state": lambda graph, sizes: cost.state(graph),
    "macs": lambda graph, sizes: cost.multiply_adds(graph, sizes),
    "flops": lambda graph, sizes: cost.flops(graph, sizes),
    "depth": lambda graph, sizes: cost.depth(graph),
    "output": lambda graph, sizes: _output(graph, sizes),
    "space": lambda graph, sizes: None,
}
"""What may stand in a condition."""


def _output(graph: Graph, sizes: Mapping[str, int]) -> Any:
    from architrave.ir.dims import substitute

    shapes = [[substitute(s, sizes) for s in v.shape] for v in graph.outputs]
    return shapes[0] if len(shapes) == 1 else tuple(shapes)


def _used(condition: syntax.Expression) -> list[str]:
    """The names in a condition. Raises E292 for one that means nothing there."""
    found: list[str] = []
    pending: list[Any] = [condition]
    while pending:
        item = pending.pop()
        if isinstance(item, syntax.Name):
            found.append(item.text)
        elif isinstance(item, tuple):
            pending += item  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(item, syntax.Node):
            pending += [getattr(item, f) for f in item.__dataclass_fields__ if f != "span"]
    return found
