"""Weights of fully connected layers as integers of few bits, while activations stay floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from architrave.ir.dims import divide
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.nested import innermost_first
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.leaves import Initial, Param, State, path_of
from architrave.ir.ops.weight_only import WIDTHS, LinearWeightOnly
from architrave.ir.place import marked
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.weights.grids import Grid, known, nearest, rounded
from architrave.passes.select import Select


class WeightOnly(Pass):
    """Fully connected layers hold their weights in few bits, and compute in floats.

    A weight that `fake_quantize` rounds keeps the numbers that it has: what GPTQ or training chose stays. Any other is
    rounded to the nearest of the integers whose scale fits the largest weight of its group. What stays in floats, a
    weight that is read as an embedding, too, above all, is in the journal with the reason.
    """

    keeps = Keeps.LOSSY
    bits: Literal[2, 4, 8] = option(4, "of each weight that nothing has rounded yet")
    group: int = option(128, "how many inputs of a layer share a scale; 0: all")
    symmetric: bool = option(True, "whether there are no zero points")
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Codes take the name of the weight; scales and zero points lie beside them, `weight_scale`, `weight_zero`."""
        self._check()
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        new = _Weights(graph, {path_of(w) for w in graph.weights})

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not self._may_touch(node):
                return None
            grid = self._grid(node, graph)
            if isinstance(grid, Declined):
                journal.refused("weight-only", grid)
                return None
            journal.changed("weight-only", node)
            with marked(place=node.place, span=node.span, facts=node.facts):
                y = apply(LinearWeightOnly(grid.width, grid.op.signed), operands[0], *new.leaves(grid))
                return [y + operands[2] if len(operands) > 2 else y]

        after = rebuild(graph, offered)
        for inner in innermost_first(graph)[:-1]:
            for node in filter(self._may_touch, inner.nodes):
                journal.refused("weight-only", Declined("it is inside a loop or a branch", node))
        return new.rewritten(after)

    def _check(self) -> None:
        if self.bits not in WIDTHS:
            raise error("E803", f"`weight-only{{bits}}` is 2, 4 or 8, not {self.bits}")
        if self.group < 0:
            raise error("E803", f"`weight-only{{group}}` takes a number of inputs, not {self.group}")

    def _may_touch(self, node: Node) -> bool:
        chosen = isinstance(node.op, Linear) and self.only.matches(node)
        return chosen and all(fact.name != "keep" for fact in node.facts)

    def _grid(self, node: Node, graph: Graph) -> Grid | Declined:
        """On what integers the weight of a layer lies, or why it stays as it is."""
        path = rounded(node.operands[1])
        weight, inputs = path[0], node.operands[1].shape[1]
        if not isinstance(weight.op, Param):
            return Declined("its weight is computed: `hoist` makes parameters of what depends on weights alone", node)
        if (other := self._other_user(path, graph)) is not None:
            where = str(other.place or "") or "the model itself"
            return Declined(f"`{other.op.name}` at {where} reads its weight as well, as floats", node)
        if any(value in graph.outputs for value in path):
            return Declined("its weight is a result, too", node)
        grid = known(path) if len(path) > 1 else nearest(weight, self.bits, self.group, self.symmetric)
        if isinstance(grid, str):
            return Declined(grid, node)
        if divide(inputs, 8 // grid.width) is None:
            return Declined(f"{inputs} codes of {grid.width} bits do not fill bytes", node)
        return grid

    def _other_user(self, path: Sequence[Value], graph: Graph) -> Node | None:
        """What reads a weight, or what is made of it on its way, and is no layer that takes integers."""
        on_way = [u for value, after in pairwise(path) for u in graph.users[value.node] if u is not after.node]
        layers = [u for u in graph.users[path[-1].node] if not self._may_touch(u) or u.operands.index(path[-1]) != 1]
        return next(iter(on_way + layers), None)


@dataclass
class _Weights:
    """The weights of a graph as they change, and how the new ones come from the old ones."""

    graph: Graph
    taken: set[str]
    made: dict[Value, list[Value]] = field(default_factory=dict[Value, list[Value]])
    """For each old weight the new ones in its place."""
    starts: dict[Value, Value] = field(default_factory=dict[Value, Value])
    gone: set[Value] = field(default_factory=set[Value])

    def leaves(self, grid: Grid) -> list[Value]:
        """The codes, the scale and the zero point of a weight."""
        if grid.weight in self.made:
            return self.made[grid.weight]
        path, settings = path_of(grid.weight), set(map(path_of, grid.settings))
        self.taken -= settings
        self.gone |= {grid.weight, *grid.settings}
        with marked(place=grid.weight.node.place, span=grid.weight.node.span):
            found = [self._leaf(Param, path, grid.codes)]
            found += [self._leaf(Param, free(f"{path}_scale", self.taken), grid.scale)]
            found += [] if grid.zero is None else [self._leaf(State, free(f"{path}_zero", self.taken), grid.zero)]
        self.made[grid.weight] = found
        return found

    def _leaf(self, kind: type[Param] | type[State], path: str, start: Value) -> Value:
        type = TensorType(start.dtype, start.shape)
        leaf = apply(kind(path, type, Initial("zeros"))).named(path.rpartition(".")[2])
        self.starts[leaf] = start
        return leaf

    def rewritten(self, after: Graph) -> Rewritten:
        """The graph with its new weights, each where the one was that it holds."""
        weights = [v for w in self.graph.weights if w not in self.gone or w in self.made for v in self.made.get(w, [w])]
        values = tuple(self.starts.get(w, w) for w in weights)
        prepare = Graph(f"{after.name}_prepare", (), values, weights=self.graph.weights)
        return Rewritten(replace(after, weights=tuple(weights)), Prepare(prepare, tuple(map(path_of, weights))))
