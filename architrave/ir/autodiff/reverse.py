"""The reverse sweep: from the cotangents of a graph's outputs to the gradients of some of its leaves.

It goes through the nodes backwards, once, and asks the operator of each for its part: its `gradient`, or the
gradient of its expansion, or a rule of `control` where it holds graphs. Contributions to one value are added up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, singledispatch

from architrave.ir.autodiff.fit import differentiable, fitted, zeros
from architrave.ir.autodiff.loops import Kept, keep_carries
from architrave.ir.autodiff.places import Mirror
from architrave.ir.enclose import placeholder
from architrave.ir.expand import expansion
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.op import Gradients, Op, without_gradient
from architrave.ir.place import Here, here, mark
from architrave.ir.types import TensorType


@dataclass(frozen=True)
class Step:
    """One node on the way back: which operands need gradients, and what flows back to its results.

    `kept` is what `loops` has made the node give besides its results.
    """

    node: Node
    wanted: tuple[int, ...]
    cotangents: tuple[Value | None, ...]
    kept: tuple[Value, ...] = ()

    @property
    def given(self) -> tuple[int, ...]:
        """The results to which something flows back."""
        return tuple(i for i, cotangent in enumerate(self.cotangents) if cotangent is not None)

    def cotangent(self, result: int) -> Value:
        """What flows back to a result, zeros where nothing does."""
        return self.cotangents[result] or zeros(self.node.outputs[result].type)


@dataclass(frozen=True)
class Pullback:
    """The gradient of a graph as a graph: it takes the inputs and a cotangent for each of the outputs asked for.

    Its outputs are the gradients of the inputs `found`: those that were wanted and have any.
    """

    graph: Graph
    found: tuple[int, ...]

    def applied(self, arguments: Sequence[Value], marks: Here | None = None) -> dict[int, Value]:
        """The gradients by the number of the input; the nodes get `marks`, or keep their own."""
        return dict(zip(self.found, copied(self.graph, arguments, marks), strict=True))


@singledispatch
def pull(op: Op, step: Step) -> Gradients:
    """The gradient of each operand of a node, None where there is none. Operators that hold graphs add theirs."""
    node = step.node
    if op.has_gradient():
        return op.gradient(node.operands, node.outputs, tuple(map(step.cotangent, range(len(node.outputs)))))
    if not op.is_composite():
        raise NotImplementedError(f"`{op.name}` has no gradient")
    inner = _composite(op, tuple(v.type for v in node.operands), step.wanted, step.given)
    found = inner.applied((*node.operands, *(g for g in step.cotangents if g is not None)), here())
    return [found.get(i) for i in range(len(node.operands))]


def sweep(
    graph: Graph, wrt: Collection[Value], cotangents: Mapping[Value, Value], mirror: Mirror, kept: Kept
) -> dict[Value, Value]:
    """The gradients of the leaves `wrt` that have any, given what flows back to some of the outputs."""
    active = active_values(graph, wrt)
    total = {value: cotangent for value, cotangent in cotangents.items() if value in active}
    before = mark(Here())
    for node in reversed(graph.nodes):
        wanted = tuple(i for i, v in enumerate(node.operands) if v in active)
        given = tuple(total.get(v) for v in node.outputs)
        if not wanted or not any(given):
            continue
        mark(Here(node.span, mirror.of(node.place)))
        gradients = pull(node.op, Step(node, wanted, given, kept.get(node, ())))
        for i in wanted:
            gradient, operand = gradients[i], node.operands[i]
            if gradient is not None:
                part = fitted(gradient, operand.type)
                total[operand] = total[operand] + part if operand in total else part
    mark(before)
    return {value: total[value] for value in wrt if value in total}


def pullback(graph: Graph, wanted: Sequence[int], given: Sequence[int]) -> Pullback:
    """The gradient of a graph without weights by some of its inputs, for cotangents of some of its outputs."""
    wrt = [graph.inputs[i] for i in wanted]
    graph, kept = keep_carries(graph, active_values(graph, wrt))
    cotangents = [placeholder(f"g{i}", graph.outputs[i].type, Here()) for i in given]
    flowing: dict[Value, Value] = {}
    for i, cotangent in zip(given, cotangents, strict=True):
        value = graph.outputs[i]
        flowing[value] = flowing[value] + cotangent if value in flowing else cotangent
    found = sweep(graph, wrt, flowing, Mirror(graph.place), kept)
    results = {i: found[graph.inputs[i]] for i in wanted if graph.inputs[i] in found}
    name = f"{graph.name}_gradient"
    return Pullback(
        Graph(name, (*graph.inputs, *cotangents), tuple(results.values()), place=graph.place), tuple(results)
    )


def active_values(graph: Graph, wrt: Collection[Value]) -> set[Value]:
    """The values on a path that gradients take from the outputs to `wrt`."""
    found = set(wrt)
    for node in graph.nodes:
        if _passes(node) and any(v in found for v in node.operands):
            found.update(v for v in node.outputs if differentiable(v.type))
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if _passes(node) and any(v in needed for v in node.outputs):
            needed.update(node.operands)
    return found & needed


def _passes(node: Node) -> bool:
    """Whether gradients may flow through a node."""
    return type(node.op).gradient is not without_gradient


def copied(graph: Graph, arguments: Sequence[Value], marks: Here | None = None) -> tuple[Value, ...]:
    """The outputs of a graph on other values. All nodes are new: they get `marks`, or keep their own."""
    new: dict[Value, Value] = dict(zip(graph.inputs, arguments, strict=True))
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in new:
            continue
        copy = make(node.op, [new[v] for v in node.operands], marks or node.marks)
        copy.hints.update(node.hints)
        new.update(zip(node.outputs, copy.outputs, strict=True))
    return tuple(new[v] for v in graph.outputs)


@lru_cache(maxsize=4096)
def _composite(op: Op, types: tuple[TensorType, ...], wanted: tuple[int, ...], given: tuple[int, ...]) -> Pullback:
    before = mark(Here())
    found = pullback(expansion(op, types), wanted, given)
    mark(before)
    return found
