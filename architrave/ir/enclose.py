"""Cutting sub-graphs out of what was just built.

Control flow builds its body as ordinary nodes and then encloses them: nodes made since a mark lie inside,
whatever they use from before is captured. Leaves that belong to the outermost graph (weights, states, the
run's key) are captured however late they were made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Here, here
from architrave.ir.rewrite import kept
from architrave.ir.types import TensorType

OUTER_LEAVES = frozenset({"param", "state", "run_key"})
"""Leaves that live in the outermost graph only."""


@dataclass(frozen=True)
class Body:
    """What a sub-graph is made from: a name, its own parameters (fresh inputs) and its results."""

    name: str
    parameters: tuple[Value, ...]
    results: tuple[Value, ...]


def enclose(bodies: Sequence[Body], since: int) -> tuple[list[Graph], tuple[Value, ...]]:
    """Sub-graphs of bodies built since the serial number `since`, and the values they capture.

    All graphs take their own parameters first and then the captures of all bodies, in the order of their
    first use. The place where new nodes are marked now is theirs.
    """
    inside = [_inside(body, since) for body in bodies]
    captures: dict[Value, None] = {}
    for body, nodes in zip(bodies, inside, strict=True):
        own = {*body.parameters, *(v for n in nodes for v in n.outputs)}
        used = [*(v for n in nodes for v in n.operands), *body.results]
        captures.update(dict.fromkeys(v for v in used if v not in own))
    found = tuple(captures)
    return [_graph(b, n, found) for b, n in zip(bodies, inside, strict=True)], found


def placeholder(label: str, type: TensorType, marks: Here | None = None) -> Value:
    """A fresh input."""
    return make(Input(label, type), (), marks).outputs[0].named(label)


def _inside(body: Body, since: int) -> list[Node]:
    found: set[Node] = set()
    pending = [v.node for v in body.results]
    while pending:
        node = pending.pop()
        if node in found or node.serial < since or node.op.name in OUTER_LEAVES or node.op.name == "input":
            continue
        found.add(node)
        pending += [v.node for v in node.operands]
    return sorted(found, key=lambda n: n.serial)


def _graph(body: Body, nodes: Sequence[Node], captures: Sequence[Value]) -> Graph:
    outside = tuple(placeholder(v.hint or f"outer_{i}", v.type, Here()) for i, v in enumerate(captures))
    new: dict[Value, Value] = {v: v for v in body.parameters}
    new.update(zip(captures, outside, strict=True))
    for node in nodes:
        new.update(zip(node.outputs, kept(node, tuple(new[v] for v in node.operands)), strict=True))
    return Graph(body.name, (*body.parameters, *outside), tuple(new[v] for v in body.results), place=here().place)
