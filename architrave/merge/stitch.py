"""Networks of one family, stitched: the first blocks of a small one and the last of a larger one are a network, too.

Pan, Cai and Zhuang, "Stitchable Neural Networks" (2023). The networks, called anchors, go from fast to slow. Between
two neighbours the blocks that are about as deep are joined by stitches, linear maps of channels, and a `choice` at each
block says what it is given: what its own network gives, or a stitch of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.choice import decide
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Value, make
from architrave.ir.initial import initial
from architrave.ir.initializers import init
from architrave.ir.ops.control import Choice
from architrave.ir.place import Block, Place, here, marked
from architrave.ir.prefix import prefixed, prefixed_weights
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.merge.chain import chain
from architrave.passes.structure.sublayers import Sublayer

OWN = "own"
"""The alternative by which a block is given what its own network gives."""
END = "anchor"
"""The decision whose scores are the output."""


@dataclass(frozen=True)
class Cut:
    """From behind block `front` of one anchor to block `end` of the next, by the stitch of a window."""

    front: int
    end: int
    window: int


@dataclass(frozen=True)
class Configuration:
    """One of the networks: an anchor by itself, or the beginning of the one before it up to a cut, and its end."""

    anchor: int
    cut: Cut | None = None


@dataclass(frozen=True)
class Family:
    """Stitched networks: `graph` has all of them, with decisions that say which it is."""

    graph: Graph
    names: tuple[str, ...]
    anchors: tuple[Graph, ...]
    path: str
    """Where the repeated blocks of the anchors are."""
    cuts: tuple[tuple[Cut, ...], ...]
    """Those into each anchor; none into the first."""

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """All networks with one cut at most, the anchors first."""
        alone = [Configuration(i) for i in range(len(self.names))]
        return (*alone, *(Configuration(i, cut) for i, cuts in enumerate(self.cuts) for cut in cuts))

    def decisions(self, configuration: Configuration) -> dict[str, str]:
        """What each decision of the graph is in one of its networks."""
        taken = {_entry(name, cut.end): OWN for name, cuts in zip(self.names, self.cuts, strict=True) for cut in cuts}
        cut = configuration.cut
        if cut is not None:
            taken[_entry(self.names[configuration.anchor], cut.end)] = _label(cut)
        return {**taken, END: self.names[configuration.anchor]}

    def network(self, configuration: Configuration) -> Graph:
        """One of the networks by itself: a plain graph with the weights that it reads, called as in the family."""
        graph = decide(self.graph, self.decisions(configuration))
        read = set(replace(graph, updates=(), weights=()).nodes)
        return replace(
            graph,
            name=self.describe(configuration),
            weights=tuple(w for w in graph.weights if w.node in read),
            updates=tuple((state, new) for state, new in graph.updates if state.node in read),
        )

    def describe(self, configuration: Configuration) -> str:
        """A name for one of the networks."""
        name, cut = self.names[configuration.anchor], configuration.cut
        return name if cut is None else f"{self.names[configuration.anchor - 1]}_{cut.front}_{name}_{cut.end}"

    def weights(self, weights: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Array]:
        """The weights of the graph from those of the anchors; stitches have their first ones. See `fitted`."""
        found = init(self.graph, seed)
        for name, held in zip(self.names, weights, strict=True):
            found |= prefixed_weights(held, name)
        return found


def stitched(anchors: Sequence[Graph], path: str = "blocks", *, names: Sequence[str] = (), size: int = 2) -> Family:
    """Networks with blocks `path.0`, `path.1` and so on, from fast to slow, cut at their blocks and stitched.

    Where neighbours are equally deep, each window of `size` blocks has a stitch, by which any of its blocks in one
    leads to any in the other; where not, each block of the deeper one has its counterpart. Raises E932 for what cannot
    be cut, E933 for networks that do not go together.
    """
    names = tuple(names) or tuple(graph.name for graph in anchors)
    _check(anchors, names)
    root = Place("", Block("model", "Stitched", "Networks of one family, stitched."))
    with marked(place=root):
        inputs = [placeholder(v.hint or "x", v.type) for v in anchors[0].inputs]
    parts = [prefixed(graph, name, root, inputs) for graph, name in zip(anchors, names, strict=True)]
    chains = [chain(graph, f"{name}.{path}") for graph, name in zip(parts, names, strict=True)]
    depths = [len(blocks) for blocks in chains]
    cuts = ((), *(tuple(cuts_between(a, b, size)) for a, b in pairwise(depths)))
    ends: list[Value] = []
    merged: list[Graph] = []
    for name, part, blocks, into in zip(names, parts, chains, cuts, strict=True):
        with marked(place=root):
            made, ends = _Entering(name, blocks, ends, into).run(part)
        merged.append(made)
    with marked(place=root):
        outputs = _choice(END, {name: graph.outputs for name, graph in zip(names, merged, strict=True)})
    graph = build.graph("Stitched", inputs, outputs, updates=[pair for each in merged for pair in each.updates])
    return Family(replace(graph, place=root), names, tuple(anchors), path, cuts)


def cuts_between(front: int, end: int, size: int = 2) -> Iterator[Cut]:
    """The cuts between networks of so many blocks, each once, in the first window that has it."""
    if front != end:
        deeper = max(front, end)
        yield from (Cut(i * front // deeper, i * end // deeper, i) for i in range(deeper))
        return
    seen: set[tuple[int, int]] = set()
    window = 0
    for start in range(front):
        blocks = range(start, min(start + size, front))
        fresh = [(j, k) for j in blocks for k in blocks if (j, k) not in seen]
        seen.update(fresh)
        yield from (Cut(j, k, window) for j, k in fresh)
        window += bool(fresh)


def _check(anchors: Sequence[Graph], names: Sequence[str]) -> None:
    if len(anchors) < 2 or len(set(names)) != len(anchors):
        raise error("E933", "stitching takes two networks or more, each of a name of its own", hint="give `names`")
    first = anchors[0]
    for other in anchors[1:]:
        for what in ("inputs", "outputs"):
            ours, theirs = ([v.type for v in getattr(graph, what)] for graph in (first, other))
            if ours != theirs:
                shown = f"{', '.join(map(str, ours))} and {', '.join(map(str, theirs))}"
                raise error("E933", f"the {what} of `{first.name}` and `{other.name}` differ: {shown}")


class _Entering:
    """Putting a decision at each block of an anchor that a cut leads to."""

    def __init__(self, name: str, blocks: Sequence[Sublayer], before: Sequence[Value], cuts: Sequence[Cut]) -> None:
        """`before` is what the blocks of the anchor before it give."""
        self.name, self.blocks, self.before, self.cuts = name, blocks, before, cuts
        self.block_of = {node: k for k, block in enumerate(blocks) for node in block.nodes}
        self.new: dict[Value, Value] = {}
        self.entries: dict[int, Value] = {}
        self.stitches: dict[int, tuple[Value, Value]] = {}

    def run(self, graph: Graph) -> tuple[Graph, list[Value]]:
        """The anchor with its decisions, and what each of its blocks then gives."""
        for node in graph.nodes:
            operands = tuple(self._operand(v, self.block_of.get(node)) for v in node.operands)
            self.new.update(zip(node.outputs, kept(node, operands), strict=True))
        after = replace(
            graph,
            outputs=tuple(self.new[v] for v in graph.outputs),
            weights=tuple(self.new[v] for v in graph.weights),
            updates=tuple((self.new[state], self.new[v]) for state, v in graph.updates),
        )
        return after, [self.new[block.after] for block in self.blocks]

    def _operand(self, value: Value, k: int | None) -> Value:
        into = [cut for cut in self.cuts if cut.end == k]
        if k is None or value is not self.blocks[k].before or not into:
            return self.new[value]
        if k not in self.entries:
            own = self.new[value]
            ways = {_label(cut): (self._stitch(cut, self.before[cut.front], own),) for cut in into}
            (self.entries[k],) = _choice(_entry(self.name, k), {OWN: (own,), **ways})
        return self.entries[k]

    def _stitch(self, cut: Cut, x: Value, like: Value) -> Value:
        """What a block gives as another would be given it. E933 where they differ in more than their channels."""
        axis = 1 if x.rank > 3 else x.rank - 1
        ours, theirs = ((*v.shape[:axis], None, *v.shape[axis + 1 :]) for v in (x, like))
        if ours != theirs:
            what = f"{x.type} behind block {cut.front} is no {like.type}, as block {cut.end} of `{self.name}` is given"
            raise error("E933", what, hint="stitches change channels alone")
        path = stitch_path(self.name, cut.window)
        kernel = (1,) * (x.rank - 2) if axis == 1 else ()
        with marked(place=Place(path, Block("block", "Stitch", inputs=("x",)), here().place)):
            if cut.window not in self.stitches:
                weight = TensorType(x.dtype, (like.shape[axis], x.shape[axis], *kernel))
                self.stitches[cut.window] = (
                    build.param(f"{path}.weight", weight, initial("xavier_uniform")),
                    build.param(f"{path}.bias", TensorType(x.dtype, weight.shape[:1])),
                )
            found: Value = (build.conv if kernel else build.linear)(x, *self.stitches[cut.window])
        return found


def stitch_path(name: str, window: int) -> str:
    """Where the weights of a stitch into an anchor are."""
    return f"stitch.{name}.{window}"


def _choice(path: str, alternatives: Mapping[str, Sequence[Value]]) -> tuple[Value, ...]:
    """An open decision between values of the same types."""
    values = [v for held in alternatives.values() for v in held]
    inputs = [placeholder(f"x{i}", v.type) for i, v in enumerate(values)]
    inside = dict(zip(values, inputs, strict=True))
    graphs = (Graph(name, tuple(inputs), tuple(inside[v] for v in held)) for name, held in alternatives.items())
    return make(Choice(path=path, labels=tuple(alternatives), alternatives=tuple(graphs)), values).outputs


def _entry(name: str, block: int) -> str:
    return f"enter.{name}.{block}"


def _label(cut: Cut) -> str:
    return f"after_{cut.front}"
