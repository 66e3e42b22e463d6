"""Graphs that keep their choices, as graphs without any: what every alternative gives is mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from architrave.ir.choice import choices
from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Graph, Node, Value, make, serial_now
from architrave.ir.nested import innermost_first, subgraphs, with_leaves
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, Mode, Scan, While
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Place, marked, moved
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.passes.search.captures import without_unread_captures


@dataclass
class Mix:
    """What stands in the place of a choice.

    New weights may be made; a state among them that changes is paired with its new value in `updates`.
    """

    updates: list[tuple[Value, Value]] = field(default_factory=list[tuple[Value, Value]])

    def prepare(self, choice: Choice) -> None:
        """Make what is computed once, before a loop in which the choice is made."""

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        """What comes of the results that the alternatives of one choice give."""
        raise NotImplementedError(f"{type(self).__name__} does not say what comes of alternatives")


def opened(graph: Graph, mix: Mix) -> Graph:
    """The graph with every alternative of every choice in it, mixed. It recurses as deep as choices nest.

    What is computed inside an alternative for its result, and beside the choice for a new state, is one. A choice in a
    loop, or in what differs in training, is mixed there, of what is passed in. Raises E957 for one in a function with a
    gradient of its own, and where new weights would change in a loop.
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
        what = f"the choice `{next(iter(left))}` is made in a function that has a gradient of its own"
        raise error("E957", what, hint="make it outside of the function")
    return whole


def with_weights(graph: Graph) -> Graph:
    """The graph with whatever weights are read among its own."""
    read = (node.outputs[0] for node in graph.nodes if isinstance(node.op, Param | State))
    return replace(graph, weights=tuple(dict.fromkeys((*graph.weights, *read))))


def with_read_weights(graph: Graph) -> Graph:
    """The graph without weights that its outputs do not read, and without their updates."""
    graph = without_unread_captures(graph)
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
        if isinstance(node.op, Mode | Scan | While) and _within(node.op):
            return self._entered(node, node.op, operands, place)
        if not isinstance(node.op, Choice):
            # A constant is made anew, where it is used: what was made before a loop is passed into it.
            constant = not operands and not isinstance(node.op, Input | Param | State | RunKey)
            return (
                make(node.op, (), replace(node.marks, place=place)).outputs if constant else kept(node, operands, place)
            )
        found: list[tuple[Value, ...]] = []
        for graph in node.op.alternatives:
            inner = dict(zip(graph.inputs, operands, strict=True))
            self.copy(graph, inner, {graph.place: place or graph.place})
            found.append(tuple(inner[v] for v in graph.outputs))
        with marked(place=place, span=node.span):
            return self.mix.mix(node.op, found)

    def _entered(
        self, node: Node, op: Mode | Scan | While, operands: tuple[Value, ...], place: Place | None
    ) -> tuple[Value, ...]:
        """An operator whose graphs are opened, too. They capture what mixing takes from outside."""
        for choice in _within(op):
            self.mix.prepare(choice)
        since, updates = serial_now(), len(self.mix.updates)
        bodies: list[Body] = []
        for graph, entries in zip(subgraphs(op), op.entries(), strict=True):
            given = [
                placeholder(v.hint or "x", v.type) if entry is None else operands[entry]
                for v, entry in zip(graph.inputs, entries, strict=True)
            ]
            inner = dict(zip(graph.inputs, given, strict=True))
            self.copy(graph, inner, {graph.place: place or graph.place})
            own = tuple(v for v, entry in zip(given, entries, strict=True) if entry is None)
            bodies.append(Body(graph.name, own, tuple(inner[v] for v in graph.outputs)))
        if len(self.mix.updates) > updates:
            what = f"the choice `{_within(op)[0].path}` is made in `{op.name}`, where no statistics can be taken"
            raise error("E957", what, node.span, hint="make it outside of `scan`, `while` and `if training`")
        with marked(place=place, span=node.span):
            graphs, captures = enclose(bodies, since)
            renewed = {id(old): new for old, new in zip(subgraphs(op), graphs, strict=True)}
            whole = with_leaves(op, lambda leaf: renewed.get(id(leaf), leaf))
            first = min((entry for each in op.entries() for entry in each if entry is not None), default=len(operands))
            made = make(whole, (*operands[:first], *captures))
        made.hints.update(node.hints)
        return made.outputs


def _within(op: Op) -> list[Choice]:
    """The choices in the graphs of an operator."""
    graphs = (inner for graph in subgraphs(op) for inner in innermost_first(graph))
    return [node.op for graph in graphs for node in graph.nodes if isinstance(node.op, Choice)]
