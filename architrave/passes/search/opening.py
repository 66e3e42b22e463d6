"""Graphs that keep their choices, as graphs without any: what every alternative gives is mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from architrave.ir.choice import choices
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.control import Choice
from architrave.ir.ops.leaves import Param, State
from architrave.ir.place import Place, marked, moved
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.passes.cleanup.duplicates import Duplicates
from architrave.passes.journal import Journal


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
    _copy(graph, new, {}, mix)
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
    return Duplicates().apply(whole, Journal())


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


def _copy(graph: Graph, new: dict[Value, Value], places: dict[Place | None, Place | None], mix: Mix) -> None:
    for node in graph.nodes:
        if node.outputs[0] in new:
            continue
        operands = tuple(new[v] for v in node.operands)
        place = moved(node.place, places)
        match node.op:
            case Choice():
                results = _mixed(node.op, operands, node, place, mix)
            case _:
                results = kept(node, operands, place)
        new.update(zip(node.outputs, results, strict=True))


def _mixed(choice: Choice, operands: tuple[Value, ...], node: Node, place: Place | None, mix: Mix) -> tuple[Value, ...]:
    found: list[tuple[Value, ...]] = []
    for graph in choice.alternatives:
        inner = dict(zip(graph.inputs, operands, strict=True))
        _copy(graph, inner, {graph.place: place or graph.place}, mix)
        found.append(tuple(inner[v] for v in graph.outputs))
    with marked(place=place, span=node.span):
        return mix.mix(choice, found)
