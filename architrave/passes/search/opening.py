"""Graphs that keep their choices, as graphs without any: what every alternative gives is mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from architrave.ir.choice import choices
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice
from architrave.ir.ops.leaves import Param, State
from architrave.ir.place import Place, marked, moved
from architrave.ir.rewrite import kept
from architrave.ir.source import error


@dataclass
class Mix:
    """What stands in the place of a choice.

    New weights may be made; a state among them that changes is paired with its new value in `updates`.
    """

    updates: list[tuple[Value, Value]] = field(default_factory=list[tuple[Value, Value]])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        """What comes of the results that the alternatives of one choice give."""
        raise NotImplementedError(f"{type(self).__name__} does not say what comes of alternatives")


def opened(graph: Graph, mix: Mix) -> Graph:
    """The graph with every alternative of every choice in it, mixed. It recurses as deep as choices nest.

    What is computed inside an alternative for its result, and beside the choice for a new state, is one. Raises E957
    for a choice in a loop or in what differs in training.
    """
    new: dict[Value, Value] = {}
    _Opening(mix).copy(graph, new, {})
    updates = ((new[state], new[value]) for state, value in graph.updates)
    whole = with_weights(
        replace(
            graph,
            outputs=tuple(new[v] for v in graph.outputs),
            weights=tuple(new[v] for v in graph.weights),
            updates=(*updates, *mix.updates),
        )
    )
    left = choices(whole)
    if left:
        what = f"the choice `{next(iter(left))}` is made in a loop, or differs in training"
        raise error("E957", what, hint="make it outside of `scan`, `while` and `if training`")
    return whole


def with_weights(graph: Graph) -> Graph:
    """The graph with whatever weights are read among its own."""
    read = (node.outputs[0] for node in graph.nodes if isinstance(node.op, Param | State))
    return replace(graph, weights=tuple(dict.fromkeys((*graph.weights, *read))))


def with_read_weights(graph: Graph) -> Graph:
    """The graph without weights that its outputs do not read, and without their updates."""
    read = set(replace(graph, updates=(), weights=()).nodes)
    return replace(
        graph,
        weights=tuple(w for w in graph.weights if w.node in read),
        updates=tuple((state, new) for state, new in graph.updates if state.node in read),
    )


@dataclass
class _Opening:
    mix: Mix
    made: dict[tuple[Op, tuple[Value, ...]], tuple[Value, ...]] = field(default_factory=dict[Any, Any])
    """What there is already, by operator and operands."""

    def copy(self, graph: Graph, new: dict[Value, Value], places: dict[Place | None, Place | None]) -> None:
        """The nodes of a graph; `new` has those of its inputs, and gets the others."""
        for node in graph.nodes:
            if node.outputs[0] in new:
                continue
            operands = tuple(new[v] for v in node.operands)
            key = (node.op, operands)
            if not operands or key not in self.made:
                self.made[key] = self._copied(node, operands, moved(node.place, places))
            new.update(zip(node.outputs, self.made[key], strict=True))

    def _copied(self, node: Node, operands: tuple[Value, ...], place: Place | None) -> tuple[Value, ...]:
        if not isinstance(node.op, Choice):
            return kept(node, operands, place)
        found: list[tuple[Value, ...]] = []
        for graph in node.op.alternatives:
            inner = dict(zip(graph.inputs, operands, strict=True))
            self.copy(graph, inner, {graph.place: place or graph.place})
            found.append(tuple(inner[v] for v in graph.outputs))
        with marked(place=place, span=node.span):
            return self.mix.mix(node.op, found)
