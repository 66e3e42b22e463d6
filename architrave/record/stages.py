"""A network cut where one value alone is passed on: its parts can run one after another, each from what came before."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from architrave.ir.dims import symbols
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Param, State
from architrave.ir.rewrite import kept
from architrave.passes.static import Static


@dataclass(frozen=True)
class Stage:
    """A part of a network: `graph` takes what the part before gives, and gives one value, the last one all outputs.

    `values` are those of the network in the part. Weights are the ones that the part reads.
    """

    graph: Graph
    end: tuple[Value, ...]
    """What it gives, as values of the network."""
    values: Mapping[Value, Value]

    def computes(self, value: Value) -> bool:
        """Whether the part computes a value of the network, and does not just take it."""
        return value in self.values and self.values[value] not in self.graph.inputs


def stages(graph: Graph, starts: Sequence[Node] = ()) -> list[Stage]:
    """The parts of a network of inference, each as long as can be with no more than one of `starts` in it, or few more.

    A part ends just before one of the nodes `starts` begins, where nothing but one value is passed on: a residual
    block is not cut. Without `starts` every cut is made.
    """
    cuts = list(_cuts(graph))
    serials = sorted(node.serial for node in starts)
    if starts:
        cuts = [cut for cut, after in _before_each(cuts, serials) if after]
    ends = [*((cut,) for cut in cuts), graph.outputs]
    begins = [graph.inputs, *((cut,) for cut in cuts)]
    return [between(graph, begin, end) for begin, end in zip(begins, ends, strict=True)]


def between(graph: Graph, begin: Sequence[Value], end: Sequence[Value]) -> Stage:
    """The part of a graph that computes `end` from `begin`, on which it depends alone, but for weights."""
    inputs = tuple(placeholder(v.hint or f"x{i}", v.type, v.node.marks) for i, v in enumerate(begin))
    values = dict(zip(begin, inputs, strict=True))
    for node in _needed(begin, end):
        values.update(zip(node.outputs, kept(node, tuple(values[v] for v in node.operands)), strict=True))
    weights = tuple(values[w] for w in graph.weights if w in values)
    outputs = tuple(values[v] for v in end)
    return Stage(Graph(graph.name, inputs, outputs, weights, place=graph.place), tuple(end), values)


def _needed(begin: Sequence[Value], end: Sequence[Value]) -> list[Node]:
    """The nodes that compute `end` from `begin`, operands first."""
    known, found = set(begin), set[Node]()
    pending = [v.node for v in end if v not in known]
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += [v.node for v in node.operands if v not in known]
    return sorted(found, key=lambda n: n.serial)


def _cuts(graph: Graph) -> Iterator[Value]:
    """Every value that all behind it depends on alone, but for weights, in their order."""
    static = Static(graph)
    order = [n for n in graph.nodes if n.outputs[0] not in static or n.outputs[0] in graph.inputs]
    last = {v: i for i, node in enumerate(order) for v in node.operands}
    last |= dict.fromkeys(graph.outputs, len(order))
    sizes = _sizes_behind(order)
    open_values: set[Value] = set()
    ending: dict[int, list[Value]] = {}
    for i, node in enumerate(order):
        for value in node.outputs:
            if last.get(value, i) > i:
                open_values.add(value)
                ending.setdefault(last[value], []).append(value)
        open_values.difference_update(ending.pop(i, ()))
        alone = next(iter(open_values)) if len(open_values) == 1 else None
        if alone is None or alone in graph.inputs or alone in graph.outputs or isinstance(alone.op, Param | State):
            continue
        # A size can be read off an input only where it stands by itself.
        if sizes[i] <= {str(size) for size in alone.shape}:
            yield alone


def _sizes_behind(order: Sequence[Node]) -> list[set[str]]:
    """The symbols in the sizes of all that is computed after each node."""
    behind: list[set[str]] = []
    seen: set[str] = set()
    for node in reversed(order):
        behind.append(set(seen))
        seen |= {name for v in node.outputs for size in v.shape for name in symbols(size)}
    return behind[::-1]


def _before_each(cuts: Sequence[Value], serials: Sequence[int]) -> Iterator[tuple[Value, bool]]:
    """Each cut, and whether it is the last before a start that has another start before it."""
    counts = [bisect_right(serials, cut.node.serial) for cut in cuts]
    following = [*counts[1:], len(serials)]
    for cut, count, after in zip(cuts, counts, following, strict=True):
        yield cut, 0 < count < after
