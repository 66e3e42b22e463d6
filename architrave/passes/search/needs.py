"""Which members of a supernet need a value: those whose switches lead to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.ops.control import Control
from architrave.ir.ops.leaves import Full, State, path_of

Needs: TypeAlias = frozenset[tuple[Node, bool]]
"""Selections `where(switch == i, a, b)`, each with the side that needs a value: one of them is enough, together with
whatever needs that selection."""

Switch: TypeAlias = Callable[[str], Value]
"""The switch at a path."""


@dataclass
class _Found:
    """What needs a value so far."""

    always: bool = False
    sides: set[tuple[Node, bool]] = field(default_factory=set[tuple[Node, bool]])


class Needing:
    """For every node of a supernet, under which switches the outputs need it."""

    def __init__(self, graph: Graph, name: str) -> None:
        """Switches are the states of that name. New states need nothing."""
        self.graph, self.ending = graph, f".{name}"
        self._found: dict[Node, _Found] = {}
        self._outer: dict[Value, Value] = {}
        """What graphs inside others are given, by their inputs."""
        self._enter(replace(graph, updates=(), weights=()), _Found(always=True))

    def conditional(self) -> dict[str, Needs]:
        """The weights and states that some members lack, by path, with what needs them."""
        found = ((w, self._found.get(w.node)) for w in self.graph.weights)
        needed = {path_of(w): need for w, need in found if need is not None and need.sides}
        return {path: frozenset(need.sides) for path, need in needed.items() if not path.endswith(self.ending)}

    def learning(self, weights: Mapping[str, Value]) -> dict[str, Value]:
        """Whether each weight that some members lack is in the one that is taken; `weights` hold the switches, too."""
        found = self.conditional().items()
        return {path: self.taken(needs, weights.__getitem__) for path, needs in found if path in weights}

    def alternatives(self) -> dict[str, tuple[str, int]]:
        """For each weight that one alternative of one decision alone needs, the path of the switch and its position."""
        found: dict[str, tuple[str, int]] = {}
        for path, needs in self.conditional().items():
            ends = {self._alternative(node, side) for node, side in needs}
            end = ends.pop()
            if end is not None and not ends:
                found[path] = end
        return found

    def resting(self) -> Graph:
        """The graph, in which a state that some members lack changes in the others alone."""
        learning = self.learning({path_of(w): w for w in self.graph.weights})

        def renewed(state: Value, new: Value) -> Value:
            taken = learning.get(path_of(state))
            value: Value = new if taken is None else build.where(taken, new, state)
            return value

        return replace(self.graph, updates=tuple((state, renewed(state, new)) for state, new in self.graph.updates))

    def taken(self, needs: Needs, switch: Switch) -> Value:
        """Whether the switches lead to what has these needs, a truth value."""
        known: dict[Node, Value | None] = {}
        sides = self._sides(switch)
        # In the order of their making, so that the same graph comes out each time.
        pending = [node for node, _ in _ordered(needs)]
        while pending:
            node = pending[-1]
            found = self._found[node]
            missing = [] if found.always else [outer for outer, _ in _ordered(found.sides) if outer not in known]
            pending.extend(missing)
            if not missing:
                pending.pop()
                known[node] = None if found.always else _either(found.sides, known, sides)
        return _either(needs, known, sides)

    def _enter(self, graph: Graph, found: _Found) -> None:
        """What is needed in a graph whose outputs are. It recurses as deep as graphs nest."""
        self._found |= {node: _Found() for node in graph.nodes}
        for output in graph.outputs:
            _join(self._found[output.node], found.always, found.sides)
        for node in reversed(graph.nodes):
            self._spread(node)

    def _spread(self, node: Node) -> None:
        """What needs a node needs its operands: of a selection only the side that is taken, of a loop what it reads."""
        found = self._found[node]
        self._simplify(found)
        if isinstance(node.op, Control):
            self._into(node, node.op, found)
            return
        if self._switched(node) is None:
            for operand in node.operands:
                _join(self._found[operand.node], found.always, found.sides)
            return
        _join(self._found[node.operands[0].node], found.always, found.sides)
        for operand, side in zip(node.operands[1:], (True, False), strict=True):
            _join(self._found[operand.node], False, {(node, side)})

    def _into(self, node: Node, op: Control, found: _Found) -> None:
        captured = {entry for entries in op.entries() for entry in entries if entry is not None}
        for i, operand in enumerate(node.operands):
            if i not in captured:
                _join(self._found[operand.node], found.always, found.sides)
        for graph, entries in zip(subgraphs(op), op.entries(), strict=True):
            given = [(v, node.operands[i]) for v, i in zip(graph.inputs, entries, strict=True) if i is not None]
            self._outer.update(given)
            self._enter(graph, found)
            for inner, operand in given:
                if (need := self._found.get(inner.node)) is not None:
                    _join(self._found[operand.node], need.always, need.sides)

    def _simplify(self, found: _Found) -> None:
        """What both sides of a selection need is needed with it."""
        pending = [] if found.always else [node for node, side in found.sides if side and (node, False) in found.sides]
        while pending and not found.always:
            node = pending.pop()
            outer = self._found[node]
            found.sides -= {(node, True), (node, False)}
            _join(found, outer.always, outer.sides)
            pending += [n for n, side in outer.sides if (n, not side) in found.sides]
        if found.always:
            found.sides = set()

    def _switched(self, node: Node) -> tuple[str, int] | None:
        """The path of the switch by which a node selects, and the position for its first side."""
        if node.op.name != "where" or node.operands[0].op.name != "equal":
            return None
        state, position = map(self._given, node.operands[0].node.operands)
        if not isinstance(state.op, State) or not state.op.path.endswith(self.ending):
            return None
        if not isinstance(position.op, Full) or not isinstance(position.op.value, int):
            return None
        return state.op.path, position.op.value

    def _given(self, value: Value) -> Value:
        while value in self._outer:
            value = self._outer[value]
        return value

    def _alternative(self, node: Node, side: bool) -> tuple[str, int] | None:
        """Where a switch stands for one side of a selection; None where that may be in several places."""
        found = self._switched(node)
        assert found is not None, "needs speak of selections alone"
        path, position = found
        if side:
            return found
        return (path, 0) if position == 1 else None

    def _sides(self, switch: Switch) -> Callable[[Node, bool], Value]:
        def side(node: Node, taken: bool) -> Value:
            found = self._switched(node)
            assert found is not None, "needs speak of selections alone"
            path, position = found
            value: Value = (build.equal if taken else build.not_equal)(switch(path), position)
            return value

        return side


def _ordered(sides: Needs | set[tuple[Node, bool]]) -> list[tuple[Node, bool]]:
    return sorted(sides, key=lambda each: (each[0].serial, each[1]))


def _join(found: _Found, always: bool, sides: set[tuple[Node, bool]]) -> None:
    found.always = found.always or always
    found.sides |= sides


def _either(
    sides: Needs | set[tuple[Node, bool]], known: dict[Node, Value | None], side: Callable[[Node, bool], Value]
) -> Value:
    """Whether a selection is needed (always: None) and its side taken, for one of several."""
    either: Value | None = None
    for node, which in _ordered(sides):
        outer = known[node]
        both: Value = side(node, which) if outer is None else build.logical_and(outer, side(node, which))
        either = both if either is None else build.logical_or(either, both)
    assert either is not None, "what is needed always is not asked for"
    return either
