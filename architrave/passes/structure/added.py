"""Weights that a pass adds to a network, and what they are of the old ones."""

from __future__ import annotations

from dataclasses import replace

from architrave.ir.graph import Graph, Value, make
from architrave.ir.ops.leaves import Initial, Param, State, path_of
from architrave.ir.place import Block, Place
from architrave.passes.base import Prepare, Rewritten
from architrave.passes.hoist import free


class Added:
    """New weights beside those of a graph. Each has a path of its own, and a value that depends on weights alone."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._taken = {path_of(w) for w in graph.weights}
        self._values: dict[Value, Value] = {}
        places = {node.place.path for node in graph.nodes if node.place is not None}
        self._places = places | {path.rpartition(".")[0] for path in self._taken}

    def place(self, segment: str, inside: Place | None, block: Block) -> Place:
        """A place of its own below another, called so or with a number behind it."""
        path, number = segment, 2
        while Place(path, block, inside).path in self._places:
            path, number = f"{segment}_{number}", number + 1
        found = Place(path, block, inside)
        self._places.add(found.path)
        return found

    def param(self, path: str, value: Value, first: Initial | Graph) -> Value:
        """A param with that value and type; a network without a checkpoint starts with `first`."""
        return self._made(Param(free(path, self._taken), value.type, first), value)

    def copied(self, path: str, value: Value) -> Value:
        """A weight of the same value, which starts, learns and is updated as that one; as zeros if it is computed."""
        match value.op:
            case Param(type=type, initial=first):
                return self._made(Param(free(path, self._taken), type, first), value)
            case State(type=type, initial=first):
                return self._made(State(free(path, self._taken), type, first), value)
            case _:
                return self.param(path, value, Initial("zeros"))

    def rewritten(self, after: Graph) -> Rewritten:
        """The new graph with the weights that it reads and those that nothing read before, and how they come about."""
        read, before = (set(replace(graph, weights=()).nodes) for graph in (after, self.graph))
        left = [w for w in self.graph.weights if w.node in read or w.node not in before]
        weights = (*left, *(w for w in self._values if w.node in read))
        values = tuple(self._values.get(w, w) for w in weights)
        prepare = Graph(f"{self.graph.name}_prepare", (), values, weights=self.graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))

    def _made(self, op: Param | State, value: Value) -> Value:
        weight = make(op, ()).outputs[0]
        self._values[weight] = value
        return weight
