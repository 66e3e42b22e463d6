"""Checking that a graph is what every graph must be. Passes run it before the first and after each one."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.memory import collector_paused
from architrave.ir.nested import innermost_first
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.source import ArchitraveError, Diagnostic

OUTERMOST = (Param, State)
"""Leaves that stand in the outermost graph only; what is inside gets them passed in."""


@collector_paused()
def verify(graph: Graph) -> Graph:
    """The graph itself, if it is sound.

    Types are re-derived by each operator's rule; inputs, weights and states are leaves of their kind; each
    weight has a path of its own; a state's new value has its type; sub-graphs stand alone. Raises one error
    with a diagnostic (E36x) for each fault.
    """
    faults = [fault for g in innermost_first(graph) for fault in _faults(g, inner=g is not graph)]
    if faults:
        raise ArchitraveError(faults[:20])
    return graph


def _faults(graph: Graph, *, inner: bool) -> Iterator[Diagnostic]:
    inferred: dict[tuple[Op, tuple[object, ...]], tuple[object, ...]] = {}
    inputs = set(graph.inputs)
    for node in graph.nodes:
        yield from _typed(node, inferred)
        if isinstance(node.op, Input) and node.outputs[0] not in inputs:
            yield _fault("E361", f"the input `{node.op.label}` is used and is no input of `{graph.name}`", node)
        if inner and isinstance(node.op, OUTERMOST):
            yield _fault("E362", f"the weight `{node.op.path}` stands inside of a sub-graph", node)
    yield from _listed(graph)


def _typed(node: Node, inferred: dict[tuple[Op, tuple[object, ...]], tuple[object, ...]]) -> Iterator[Diagnostic]:
    operands = tuple(v.type for v in node.operands)
    key = node.op, operands
    if key not in inferred:
        try:
            found = node.op.infer(*operands)
        except ArchitraveError as problem:
            yield from problem.diagnostics
            return
        inferred[key] = found if isinstance(found, tuple) else (found,)
    if inferred[key] != node.types:
        yield _fault("E360", f"`{node.op.name}` claims {node.types} and gives {inferred[key]}", node)


def _listed(graph: Graph) -> Iterator[Diagnostic]:
    """Whether what the graph lists as inputs, weights and updates is that."""
    for value in graph.inputs:
        if not isinstance(value.op, Input):
            yield _fault("E361", f"an input of `{graph.name}` is made by `{value.op.name}`", value.node)
    weights = set(graph.weights)
    paths: dict[str, Value] = {}
    for value in graph.weights:
        if not isinstance(value.op, OUTERMOST):
            yield _fault("E362", f"a weight of `{graph.name}` is made by `{value.op.name}`", value.node)
        elif paths.setdefault(value.op.path, value) is not value:
            yield _fault("E362", f"there are two weights `{value.op.path}`", value.node)
    for node in graph.nodes:
        if isinstance(node.op, OUTERMOST) and node.outputs[0] not in weights:
            yield _fault("E362", f"the weight `{node.op.path}` is used and not listed", node)
    for state, new in graph.updates:
        if not isinstance(state.op, State) or state.type != new.type:
            yield _fault("E363", f"{state!r} cannot be updated with {new!r}", new.node)


def _fault(code: str, message: str, node: Node) -> Diagnostic:
    trail = node.place.trail() if node.place is not None else ()
    return Diagnostic(code, message, node.span, trail=trail)
