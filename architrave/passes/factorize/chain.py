"""Putting chains of smaller maps in the place of layers: what all factorizations share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.nested import innermost_first
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Initial, Param, path_of
from architrave.ir.place import Block, Place, marked
from architrave.ir.rewrite import rebuild
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.factorize.ranks import Rank, Ranks, rank_text
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Dense, Window, written
from architrave.passes.reparam.trainable import held_below, place_of_weights
from architrave.passes.select import Select

FACTOR = Block("block", "factor", "One of several maps in a row that make up a layer of low rank.", inputs=("x",))


@dataclass(frozen=True)
class Layer:
    """A convolution with weight [O, C / groups, *K], or a linear layer with weight [O, I], of known sizes.

    `weight` and `bias` are params that nothing else uses. A linear layer has a window over no axes.
    """

    node: Node
    weight: Value
    bias: Value | None
    window: Window

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of the weight."""
        return tuple(map(known, self.weight.shape))

    @property
    def outputs(self) -> int:
        """Output channels."""
        return self.sizes[0]

    @property
    def inputs(self) -> int:
        """Input channels of one group."""
        return self.sizes[1]

    @property
    def kernel(self) -> tuple[int, ...]:
        """The size along each axis that it slides over."""
        return self.sizes[2:]

    @property
    def taps(self) -> int:
        """How many elements the kernel has for each pair of channels."""
        return math.prod(self.kernel)

    @property
    def place(self) -> str:
        """The name of the place where its node is."""
        return str(self.node.place or "")


@dataclass(frozen=True)
class Factor:
    """One map of a chain: its name below the layer, its weight as an expression over the layer's, how it slides."""

    name: str
    weight: Value
    window: Window


class Factorization(Pass, register=False):
    """What the passes share that put a chain of maps in the place of each layer.

    The chain is trained as it stands: its weights are params of its own, which begin as factors of the layer's weight,
    `conv1.down.weight` and `conv1.up.weight` for `conv1.weight`. The bias goes to the last one. `reparam{grow=true}`
    makes one layer of it again.
    """

    keeps = Keeps.LOSSY
    rank: int = option(8, "the rank of every layer, where no `ranks` are given")
    ranks: Ranks = option(Ranks(), "the rank of each layer; what no entry chooses stays as it is")
    only: Select = option(Select(), "which layers")
    grow: bool = option(False, "whether layers may get larger")

    def factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        """The maps, in the order in which they are applied; or why there are none."""
        raise NotImplementedError(f"{type(self).__name__} does not say what becomes of a layer: define `factors`")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten | Graph:
        """Layers whose weight is computed or shared stay as they are, and so do those inside loops and branches."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        new = _Factored(graph)

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            rank = self._rank(node) if isinstance(node.op, Conv | Linear) else None
            if rank is None:
                return None
            layer = layer_of(graph, node)
            found = layer if isinstance(layer, str) else self._factors(layer, rank)
            if isinstance(layer, str) or isinstance(found, str):
                journal.refused(self.name, Declined(str(found), node))
                return None
            journal.changed(self.name, node)
            return (new.chained(layer, operands[0], found),)

        after = rebuild(graph, offered)
        self._refuse(graph, journal)
        return new.rewritten(after) if new.starts else graph

    def _rank(self, node: Node) -> Rank | None:
        """The rank that a layer is to have; None where it is to stay as it is."""
        if not self.only.matches(node) or any(fact.name == "keep" for fact in node.facts):
            return None
        return self.ranks.of_node(node) if self.ranks else (self.rank,)

    def _factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        if min(rank) < 1:
            return f"a rank of {rank_text(rank)} leaves nothing"
        found = self.factors(layer, rank)
        if isinstance(found, str) or self.grow:
            return found
        before, after = math.prod(layer.sizes), sum(math.prod(map(known, f.weight.shape)) for f in found)
        return found if after < before else f"its factors would hold {after} numbers instead of {before}"

    def _refuse(self, graph: Graph, journal: Journal) -> None:
        for inner in innermost_first(graph)[:-1]:
            for node in inner.nodes:
                if isinstance(node.op, Conv | Linear) and self._rank(node) is not None:
                    journal.refused(self.name, Declined("inside a loop or a branch layers stay as they are", node))


def layer_of(graph: Graph, node: Node) -> Layer | str:
    """A convolution or linear layer as such; or why it cannot be taken apart."""
    x, weight, *bias = node.operands
    if any(not isinstance(w.op, Param) or len(graph.users[w.node]) > 1 for w in (weight, *bias)):
        return "its weight is computed, or has another user"
    if not all(isinstance(size, int) and size > 0 for size in weight.shape) or not weight.dtype.is_float:
        return "its weight has no known size, or is not of floats"
    op = node.op
    window = Window()
    if isinstance(op, Conv):
        if not isinstance(op.groups, int):
            return "the number of its groups is not known"
        window = Window.of(x.rank - 2, op.stride, op.padding, op.dilation, op.groups)
    return Layer(node, weight, bias[0] if bias else None, window)


@dataclass
class _Factored:
    """The weights of chains as they are made, and how they begin."""

    graph: Graph
    starts: dict[Value, Value] = field(default_factory=dict[Value, Value])
    """Each new weight, and its value in terms of the old ones."""
    instead: dict[Value, list[Value]] = field(default_factory=dict[Value, list[Value]])
    """The new weights in the place of each old one."""
    held: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        self.held = held_below(self.graph)

    def chained(self, layer: Layer, x: Value, factors: Sequence[Factor]) -> Value:
        """The chain on `x`."""
        old = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        above = place_of_weights(layer.node, old, self.held)
        for factor in factors:
            place = Place(factor.name, FACTOR, above, layer.node.span)
            weight = self._param(place, "weight", factor.weight, layer.weight)
            shift = layer.bias if factor is factors[-1] else None
            bias = None if shift is None else self._param(place, "bias", shift, shift)
            marks = replace(layer.node.marks, place=place)
            with marked(span=marks.span, place=place, facts=marks.facts):
                x = written(Dense(x, x.rank - 1, weight, bias, factor.window, x.shape, marks))
        return x

    def _param(self, place: Place, name: str, start: Value, old: Value) -> Value:
        initial = Initial("zeros")
        if start.rank > 1:
            bound = 1 / math.sqrt(max(math.prod(map(known, start.shape[1:])), 1))
            initial = Initial("uniform", (-bound, bound))
        with marked(place=place, span=place.span):
            made = make(Param(f"{place}.{name}", start.type, initial), ()).outputs[0].named(name)
        self.starts[made] = start
        self.instead.setdefault(old, []).append(made)
        return made

    def rewritten(self, after: Graph) -> Rewritten:
        """The graph with the new weights, each where the old one was, and how they come from the old ones."""
        weights = tuple(new for old in after.weights for new in self.instead.get(old, [old]))
        values = tuple(self.starts.get(w, w) for w in weights)
        prepare = Graph(f"{self.graph.name}_prepare", (), values, weights=self.graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))


def pointwise(rank: int, groups: int = 1) -> Window:
    """A window of one tap along each of `rank` axes."""
    return Window.of(rank, (), (), (), groups)
