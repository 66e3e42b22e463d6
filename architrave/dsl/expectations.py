"""`expect` lines: what a file says of its models, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from architrave.dsl import syntax
from architrave.dsl.elaborate.constraints import names
from architrave.dsl.elaborate.conversions import to_condition, to_int
from architrave.dsl.elaborate.core import Build, Frame, Names, elaborating, evaluate
from architrave.dsl.elaborate.expressions import arguments
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.elaborate.values import BlockType, describe
from architrave.dsl.modules import Module
from architrave.dsl.space import space_size
from architrave.ir import cost
from architrave.ir.dims import substitute, symbol
from architrave.ir.graph import Graph
from architrave.ir.place import Place
from architrave.ir.source import Span, error, nearest

Built: TypeAlias = tuple[BlockType, str]
"""A model, and its arguments as the file writes them."""


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation holds, and the values that its names have."""

    text: str
    span: Span
    holds: bool
    values: Mapping[str, Any]


def check(module: Module, model: str | None = None, known: Mapping[str, Graph] | None = None) -> list[Outcome]:
    """The outcome of each expectation of a file, or of those about one model.

    `known` holds graphs of the file's models, by name, that were built with default arguments.
    Raises `ArchitraveError` where an expectation cannot be evaluated.
    """
    built = {(module.models[name], ""): graph for name, graph in (known or {}).items()}
    return [outcome(e, module, built) for e in module.expectations if model in (None, e.model.span.text)]


def outcome(node: syntax.Expect, module: Module, built: dict[Built, Graph]) -> Outcome:
    """Elaborate the model that an expectation names and evaluate its condition. Raises E290..E292.

    `built` remembers graphs for further expectations.
    """
    frame = Frame(Build(), {}, module.globals, Place(""), Names())
    with elaborating(node.span):
        model = evaluate(node.model, frame)
        if not isinstance(model, BlockType) or not isinstance(model.tree, syntax.Model):
            raise error("E290", f"`expect` is about a model, not {describe(model)}", node.model.span)
        positional, named = arguments(node.arguments, frame)
        if positional:
            raise error("E290", "the arguments of an expectation are named", node.span)
        key = model, ", ".join(a.span.text for a in node.arguments)
        graph = built[key] if key in built else elaborate(model, named, at=node.span).graph
        built[key] = graph
        used = names(node.condition)
        sizes = _sizes(node, graph, frame)
        values = {n: QUANTITIES[n](graph, sizes) for n in used if n in QUANTITIES and n != "space"}
        if "space" in used:
            values["space"] = space_size(model, named)
        frame.scope = {**{s: symbol(s) for s in graph.symbols}, **sizes, **values}
        _check_names(used, frame)
        holds = to_condition(evaluate(node.condition, frame), node.condition.span)
    return Outcome(node.span.text, node.span, holds, values)


def _sizes(node: syntax.Expect, graph: Graph, frame: Frame) -> dict[str, int]:
    """The sizes that `at (...)` gives for symbolic dimensions."""
    sizes: dict[str, int] = {}
    for argument in node.sizes:
        name = argument.name.text if argument.name is not None else ""
        if name not in graph.symbols:
            hint = f"it has {', '.join(f'`{s}`' for s in graph.symbols) or 'none'}"
            what = f"`{node.model.span.text}` has no symbolic dimension `{name}`"
            raise error("E291", what, argument.span, hint=hint)
        sizes[name] = to_int(evaluate(argument.value, frame), argument.span, "a size")
        if sizes[name] < 1:
            raise error("E291", f"the size of `{name}` is at least 1, not {sizes[name]}", argument.span)
    return sizes


def _check_names(used: Mapping[str, Span], frame: Frame) -> None:
    for name, span in used.items():
        if name not in frame.scope and name not in frame.globals:
            known = [*QUANTITIES, *frame.scope]
            hint = nearest(name, known) or f"it may speak of {', '.join(QUANTITIES)}"
            raise error("E292", f"`{name}` means nothing in an expectation", span, hint=hint)


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
    shapes = [[substitute(s, sizes) for s in v.shape] for v in graph.outputs]
    return shapes[0] if len(shapes) == 1 else tuple(shapes)
