"""Inputs of fully connected layers that are 0 where they are near to their most frequent value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.arithmetic import Subtract
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.elementwise import Abs
from architrave.ir.ops.leaves import Full, Initial, State, path_of
from architrave.ir.ops.logic import Less, Where
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.types import TensorType
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.static import Static

MODE, THRESHOLD = "x_mode", "x_threshold"


class Scap(Pass):
    """Fully connected layers take `x - m` where that is at least t from 0, and 0 elsewhere; `W m` goes into the bias.

    The numbers m and t are states of each input, `x_mode` and `x_threshold`, and 0 at first, which is the network as
    it was: `architrave.sparsity.activations.scap` sets them by examples. `hoist` folds the bias, `skip-zeros` has the
    product read what is not 0. Chua, Pan and Jain, "Post-Training Statistical Calibration for Higher Activation
    Sparsity" (2024).
    """

    keeps = Keeps.LOSSY
    only: Select = option(Select(), "which layers: names of places, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """Layers that share an input share its numbers, which are called after the first of them."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        static, taken = Static(graph), {path_of(w) for w in graph.weights}
        made: dict[Value, _Centred] = {}

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not isinstance(node.op, Linear) or not self._may_touch(node):
                return None
            x, weight, *bias = operands
            if x in static or weight not in static:
                journal.refused("scap", Declined("it is no product of an activation and a weight", node))
                return None
            journal.changed("scap", node)
            with marked(place=node.place, span=node.span):
                new = made.get(x) or made.setdefault(x, _centred(x, node, taken))
                shift: Value = new.mode * build.sum(weight, axes=(1,))
                shifted = (bias[0] + shift if bias else shift).named("bias")
                return kept(node, (new.result, weight, shifted))

        after = rebuild(graph, offered)
        if not made:
            return graph
        new = [state for one in made.values() for state in (one.mode, one.threshold)]
        zeros = [build.full(value=0.0, shape=(), dtype=state.dtype) for state in new]
        prepare = Graph(f"{graph.name}_prepare", (), (*graph.weights, *zeros), weights=graph.weights)
        paths = (*map(path_of, graph.weights), *map(path_of, new))
        return Rewritten(replace(after, weights=(*after.weights, *new)), Prepare(prepare, paths))

    def _may_touch(self, node: Node) -> bool:
        return self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)


@dataclass(frozen=True)
class _Centred:
    """An input without its mode, and 0 where little is left."""

    mode: Value
    threshold: Value
    result: Value


def _centred(x: Value, node: Node, taken: set[str]) -> _Centred:
    at = f"{node.place}." if str(node.place or "") else ""
    paths = [free(f"{at}{name}", taken) for name in (MODE, THRESHOLD)]
    mode, threshold = (build.state(path, TensorType(x.dtype, ()), Initial("zeros")) for path in paths)
    centred: Value = x - mode
    zero: Value = build.full(value=0.0, shape=(), dtype=x.dtype)
    return _Centred(mode, threshold, build.where(build.abs(centred) < threshold, zero, centred))


@dataclass(frozen=True)
class ScapSite:
    """What `scap` put before fully connected layers: the node `where(|x - mode| < threshold, 0, x - mode)`."""

    node: Node

    @property
    def centred(self) -> Value:
        return self.node.operands[2]

    @property
    def x(self) -> Value:
        """The input as it was."""
        return self.centred.node.operands[0]

    @property
    def mode(self) -> str:
        """The path of the number that is subtracted."""
        return path_of(self.centred.node.operands[1])

    @property
    def threshold(self) -> str:
        """The path of the number below which nothing is left."""
        return path_of(self.node.operands[0].node.operands[1])


def scap_sites(graph: Graph) -> list[ScapSite]:
    """Every input of a graph that `scap` centred, in order of computation."""
    return [ScapSite(node) for node in graph.nodes if _is_site(node)]


def _is_site(node: Node) -> bool:
    if not isinstance(node.op, Where) or not isinstance(node.operands[1].op, Full):
        return False
    near, _, centred = node.operands
    if not isinstance(near.op, Less) or not isinstance(centred.op, Subtract):
        return False
    distance, threshold = near.node.operands
    states = (threshold, centred.node.operands[1])
    named = all(isinstance(v.op, State) for v in states) and path_of(threshold).rpartition(".")[2].startswith(THRESHOLD)
    return named and isinstance(distance.op, Abs) and distance.node.operands[0] is centred
