"""What a network costs: weights, multiply-adds, memory and depth.

Graphs inside a graph count as often as they run: of `mode` the inference side, of a `choice` that is open its first
alternative, the body of `scan` once for each step, of `while` as if it took all the turns it may.
A result stays symbolic in the symbols that `sizes` does not bind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from architrave.ir.dims import Size, product, substitute
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Constant, Full, Input, Param, State
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, complex_of

Sizes = Mapping[str, Size]

BYTES = {
    DType.BOOL: 1,
    DType.U8: 1,
    DType.I8: 1,
    DType.I16: 2,
    DType.BF16: 2,
    DType.F16: 2,
    DType.U32: 4,
    DType.I32: 4,
    DType.F32: 4,
    DType.I64: 8,
    DType.F64: 8,
    DType.C64: 8,
    DType.C128: 16,
}
"""The bytes of one element of each dtype; FLOAT has those of the precision that is chosen."""
RUN_LIMIT = 20_000_000
"""Operators that are listed by place. Graphs that are shared at every level could make exponentially many."""


@dataclass(frozen=True)
class Memory:
    """Bytes of activations. Inputs count, weights and constants do not.

    `peak` is the most that is alive at once when the nodes run in order and a value goes after its last use;
    `total` is what all values need together, as when training keeps them.
    """

    peak: int
    total: int


def weight_sizes(graph: Graph) -> dict[str, Size]:
    """The number of elements of every param, by path, used or not."""
    return {v.op.path: v.type.size for v in graph.weights if isinstance(v.op, Param)}


def parameters(graph: Graph) -> Size:
    """The number of trained numbers."""
    return _sum(weight_sizes(graph).values())


def state(graph: Graph) -> Size:
    """The number of numbers in states."""
    return _sum(v.type.size for v in graph.weights if isinstance(v.op, State))


def multiply_adds(graph: Graph, sizes: Sizes | None = None) -> Size:
    """Multiply-accumulate operations of one run: of convolutions, matrix products and the like, and nothing else."""
    return _sum(multiply_adds_by_node(graph, sizes).values())


def flops(graph: Graph, sizes: Sizes | None = None) -> Size:
    """Floating-point operations: two for every multiply-add."""
    return 2 * multiply_adds(graph, sizes)


def multiply_adds_by_node(graph: Graph, sizes: Sizes | None = None) -> dict[Node, Size]:
    """The multiply-adds of every node that has any, of those inside other nodes too."""
    costs = {node: substitute(times * _own(node), sizes or {}) for node, times in runs(graph)}
    return {node: cost for node, cost in costs.items() if cost != 0}


def multiply_adds_by_place(graph: Graph, sizes: Sizes | None = None) -> dict[str, Size]:
    """The multiply-adds at every path, `layer1.0`, and below it; the whole graph is the path ""."""
    totals: dict[str, Size] = {"": 0}
    for part in placed_graphs(graph):
        for node in part.graph.nodes:
            cost = substitute(part.times * _own(node), sizes or {})
            for path in _paths(part.path(node)) if cost != 0 else ():
                totals[path] = totals.get(path, 0) + cost
    return totals


def memory(graph: Graph, sizes: Sizes | None = None, precision: DType = DType.F32) -> Memory:
    """The activations' memory. Raises E330 where a size is not bound."""

    def bytes_of(type: TensorType) -> int:
        count = substitute(product(type.shape), sizes or {})
        if not isinstance(count, int):
            raise error("E330", f"the memory of {type} is not known", hint="give its symbols sizes")
        known = {DType.FLOAT: BYTES[precision], DType.COMPLEX: BYTES[complex_of(precision)]}
        return count * (known.get(type.dtype) or BYTES[type.dtype])

    peaks: dict[int, int] = {}
    for inner in innermost_first(graph):
        peaks[id(inner)] = _peak(inner, {v: bytes_of(v.type) for n in inner.nodes for v in _activations(n)}, peaks)
    total: Size = 0
    for node, times in runs(graph):
        total = total + substitute(times, sizes or {}) * sum(bytes_of(v.type) for v in _activations(node))
    if not isinstance(total, int):
        raise error("E330", "the number of steps of a loop is not known", hint="give its symbols sizes")
    return Memory(peaks[id(graph)], total)


def depth(graph: Graph) -> int:
    """The most operators with multiply-adds on one path: 50 in a ResNet-50. The body of a loop counts once."""
    depths: dict[int, int] = {}
    for inner in innermost_first(graph):
        below: dict[Node, int] = {}
        for node in inner.nodes:
            own = int(_own(node) != 0) + max((depths[id(g)] for g, _ in turns(node.op)), default=0)
            below[node] = own + max((below[v.node] for v in node.operands), default=0)
        depths[id(inner)] = max(below.values(), default=0)
    return depths[id(graph)]


def runs(graph: Graph) -> Iterator[tuple[Node, Size]]:
    """Every node of the graph, and of the graphs inside it that run, with how often it runs."""
    times: dict[int, Size] = {id(graph): 1}
    for outer in reversed(innermost_first(graph)):
        often = times.get(id(outer), 0)
        if often == 0:
            continue
        for node in outer.nodes:
            yield node, often
            for inner, count in turns(node.op):
                times[id(inner)] = times.get(id(inner), 0) + often * count


@dataclass(frozen=True, slots=True)
class Placed:
    """A graph inside another, and how often it runs for the node that holds it.

    Equal instances share a graph, whose nodes have the places of the first one: `built` is the path of that one,
    `here` the path of the one that this is about.
    """

    graph: Graph
    times: Size
    built: str
    here: str

    def path(self, node: Node) -> str:
        """The path of the instance that a node of the graph runs in."""
        return self.moved(_path(node))

    def holds(self, path: str) -> bool:
        """Whether a path is that of an instance inside the one that the graph was built in."""
        return path != self.built and (not self.built or path.startswith(f"{self.built}."))

    def moved(self, path: str) -> str:
        """A path as it is called here; those outside of the first instance are everyone's."""
        if self.built == self.here or not (path == self.built or self.holds(path)):
            return path
        return f"{self.here}.{path[len(self.built) :].lstrip('.')}".strip(".")


def placed_graphs(graph: Graph) -> Iterator[Placed]:
    """The graph and every graph inside it that runs, once for each node that holds it. Raises E331 for too many."""
    pending = [Placed(graph, 1, "", "")]
    count = 0
    while pending:
        part = pending.pop()
        yield part
        count += len(part.graph.nodes)
        if count > RUN_LIMIT:
            raise error("E331", f"`{graph.name}` runs more than {RUN_LIMIT:,} operators, too many to list")
        for node in part.graph.nodes:
            for inner, often in turns(node.op):
                built = inner.place.path if inner.place is not None else _path(node)
                pending.append(Placed(inner, part.times * often, built, part.path(node)))


def turns(op: Op) -> tuple[tuple[Graph, Size], ...]:
    """The graphs that an operator runs, and how often."""
    match op:
        case Mode(inference=graph) | CustomGrad(forward=graph):
            return ((graph, 1),)
        case Choice(alternatives=(graph, *_)):
            return ((graph, 1),)
        case Scan(body=graph, length=length):
            return ((graph, length),)
        case While(condition=condition, body=graph, limit=limit):
            return ((condition, limit), (graph, limit))
        case _:
            return ()


def _own(node: Node) -> Size:
    """The multiply-adds of a node, without the graphs inside it."""
    return node.op.multiply_adds([v.type for v in node.operands], node.types)


def _path(node: Node) -> str:
    return node.place.path if node.place is not None else ""


def _paths(path: str) -> list[str]:
    """A path and all above it."""
    segments = path.split(".") if path else []
    return [".".join(segments[:count]) for count in range(len(segments) + 1)]


def _activations(node: Node) -> tuple[Value, ...]:
    return () if isinstance(node.op, Param | State | Constant | Full) else node.outputs


def _peak(graph: Graph, bytes_of: Mapping[Value, int], inside: Mapping[int, int]) -> int:
    """The most bytes alive at once. `inside` has the peaks of the graphs that nodes hold."""
    last = {v: node for node in graph.nodes for v in (*node.outputs, *node.operands)}
    kept = {*graph.outputs, *(new for _, new in graph.updates)}
    # The caller holds the inputs before the first node runs.
    alive = sum(bytes_of[v] for v in graph.inputs)
    peak = alive
    for node in graph.nodes:
        if not isinstance(node.op, Input):
            alive += sum(bytes_of[v] for v in _activations(node))
        working = max((inside[id(g)] for g, _ in turns(node.op)), default=0)
        peak = max(peak, alive + working)
        done = {v for v in (*node.outputs, *node.operands) if last[v] is node and v not in kept}
        alive -= sum(bytes_of.get(v, 0) for v in done)
    return peak


def _sum(sizes: Iterable[Size]) -> Size:
    return sum(sizes, start=0)
