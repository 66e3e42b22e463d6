"""Filters of bits that are computed from one another: what two filters have in common is summed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from architrave.ir.arrays import Array, np
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.interpret import interpret
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.index import SegmentSum, Take
from architrave.ir.ops.join import Concat
from architrave.ir.ops.leaves import Param, State
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.ops.unfold import Unfold
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, shape_text
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.bits.cost import is_one_bit
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select


@dataclass(frozen=True)
class Tree:
    """In which order filters are computed: levels of pairs `(filter, the one it is computed from)`, below a root."""

    root: int
    levels: tuple[tuple[tuple[int, int], ...], ...]
    width: int
    """The products of one filter."""
    differing: int
    """The places in which filters differ from the one they are computed from, of all together."""

    @property
    def filters(self) -> int:
        """How many there are."""
        return 1 + sum(map(len, self.levels))

    @property
    def operations(self) -> int:
        """Additions for one pixel of all outputs: `filters * width` without the tree."""
        return self.width + self.differing


def spanning_tree(bits: Array) -> Tree:
    """The tree of least Hamming distances between filters of -1 and 1, [O, ...], from its centre.

    Raises ValueError for no filters, or numbers other than -1 and 1.
    """
    import networkx as nx

    rows = np.asarray(bits, np.float64).reshape(len(bits), -1) if len(bits) else np.zeros((0, 0))
    if not len(rows) or (abs(rows) != 1).any():
        raise ValueError("a tree is made of filters of -1 and 1, of one at least")
    count, width = rows.shape
    distances = ((width - rows @ rows.T) / 2).astype(np.int64)
    whole: nx.Graph[int] = nx.Graph()
    whole.add_nodes_from(range(count))
    whole.add_weighted_edges_from((i, j, int(distances[i, j])) for i in range(count) for j in range(i))
    tree = nx.minimum_spanning_tree(whole)
    root = min(nx.center(tree))
    levels: list[tuple[tuple[int, int], ...]] = []
    seen, last = {root}, [root]
    while len(seen) < count:
        levels.append(tuple((child, parent) for parent in last for child in sorted(tree[parent]) if child not in seen))
        last = [child for child, _ in levels[-1]]
        seen.update(last)
    total = sum(int(distances[pair]) for level in levels for pair in level)
    return Tree(root, tuple(levels), width, total)


def frozen(graph: Graph, weights: Mapping[str, Any]) -> Graph:
    """The graph of inference with constants in the place of its weights.

    Raises E512 for a weight that is missing, E513 for one of another shape.
    """

    def constant(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Param | State):
            return None
        path, (value,) = node.op.path, node.outputs
        if path not in weights:
            raise error("E512", f"the weight `{path}` is missing", node.span)
        array = np.asarray(weights[path])
        if array.shape != value.shape:
            shown = shape_text(array.shape)
            raise error("E513", f"the weight `{path}` is {value.type}, but the array has the shape {shown}", node.span)
        return make(constant_of(array, value.dtype, array.shape), (), node.marks).outputs

    return replace(rebuild(replace(graph, weights=()), constant), weights=())


class MstBinary(Pass):
    """Convolutions of filters of -1 and 1 compute each filter from a similar one, along a least spanning tree.

    `x . b` is `x . a` and twice what `x` is, times `b`, where the two differ. It takes filters that are constants
    (`frozen` makes weights so), and what is convolved may be anything: of whole numbers the result is exactly the same.
    Vo, Tran and others, "MST-compression: Compressing and Accelerating Binary Neural Networks with Minimum Spanning
    Tree" (2023).
    """

    for_inference = True
    only: Select = option(Select(), "which convolutions")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Convolutions of other numbers, and in groups, stay as they are."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, [filters_along_a_tree], journal, self.only)


def filters_along_a_tree(node: Node, walk: Walk) -> Change:
    """A convolution of bits that are known."""
    if not isinstance(node.op, Conv):
        return None
    x, weight, *bias = node.operands
    if bias or weight not in walk.static:
        return None
    if walk.static.has_weights(weight):
        why = "its filters are weights, and a tree is made of constants"
        return Declined(why, node) if is_one_bit(weight) else None
    (bits,) = interpret(Graph("filters", (), (weight,))).outputs
    if bits.shape[0] == 1 or (abs(bits) != 1).any():
        return None
    if node.op.groups != 1:
        return Declined("the convolution has groups", node)
    return _along(spanning_tree(bits), node.op, x, bits, node.outputs[0])


def _along(tree: Tree, op: Conv, x: Value, bits: Array, result: Value) -> Value:
    """The convolution by a tree: the root, then level by level what differs from those above."""
    rows = bits.reshape(len(bits), -1)
    pairs = [pair for level in tree.levels for pair in level]
    places = [np.flatnonzero(rows[child] != rows[parent]) for child, parent in pairs]
    columns = apply(Unfold(bits.shape[2:], op.stride, op.padding, op.dilation), x)
    columns = apply(Transpose((1, 0, 2)), columns)
    read = apply(Take(0), columns, _integers(np.concatenate(places)))
    signs = [2 * rows[child][at] for (child, _), at in zip(pairs, places, strict=True)]
    signed = read * make(constant_of(np.concatenate(signs), x.dtype, (tree.differing, 1, 1)), ()).outputs[0]
    owners = np.repeat(np.arange(len(pairs)), [len(at) for at in places])
    added = apply(SegmentSum(len(pairs)), signed, _integers(owners))
    kernel = make(constant_of(bits[[tree.root]], x.dtype, (1, *bits.shape[1:])), ()).outputs[0]
    first = apply(Transpose((1, 0, *range(2, x.rank))), apply(op, x, kernel))
    done = [apply(Reshape((1, *added.shape[1:])), first)]
    start = 0
    above = {tree.root: 0}
    for level in tree.levels:
        parents = np.array([above[parent] for _, parent in level])
        own = apply(Take(0), added, _integers(np.arange(start, start + len(level))))
        done.append(apply(Take(0), done[-1], _integers(parents)) + own)
        above = {child: place for place, (child, _) in enumerate(level)}
        start += len(level)
    order = [tree.root, *(child for child, _ in pairs)]
    sums = apply(Take(0), apply(Concat(0), *done), _integers(np.argsort(order)))
    turned = apply(Transpose((1, 0, 2)), sums)
    return apply(Reshape(result.shape), turned)


def _integers(values: Array) -> Value:
    return make(constant_of(values, DType.I64, values.shape), ()).outputs[0]
