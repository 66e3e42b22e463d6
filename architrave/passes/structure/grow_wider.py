"""Networks that become wider and stay the same function: units that are there several times share what they do."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.axes.axis import Axis, Joined, Product, factors, leaves, parts, resolved
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.relations import Scope
from architrave.ir.axes.rest import Coordinates
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops.contraction import Einsum, Linear, Matmul, terms
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.join import Concat, Slice
from architrave.ir.ops.leaves import Full, Initial, Param, path_of
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import rebuild
from architrave.ir.source import error, nearest
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, TensorType
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.structure.cut import cut


class Widen(Pass):
    """Dimensions get more units: copies of those that there are, which share what follows among them.

    Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer" (2016), section 2.1, for every
    dimension that sums alone take in: channels, units of hidden layers, heads. The shares are weights, `hoist` makes
    one weight of them and what they multiply. `architrave show --groups` lists the dimensions.
    """

    only: str = option("*", "names of dimensions, with * for any text: `fc1.weight:0`")
    factor: float = option(2.0, "how many times as wide they become")
    spread: float = option(0.0, "how unequal copies share, from 0 up to 1: equal ones would learn the same for ever")
    seed: int = option(0, "which units are copied, and their shares, follow from it")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """Raises E803 for a factor below 1 or a spread beyond 0 to 1, E920 where no dimension is called so."""
        if self.factor < 1 or not 0 <= self.spread <= 1:
            raise error("E803", "`widen` takes a factor from 1 and a spread from 0 to 1")
        found = groups(graph)
        named = [group for group in found if fnmatchcase(group.name, self.only)]
        if not named:
            raise error("E920", f"no dimension is called `{self.only}`", hint=nearest(self.only, found.by_name))
        refused, growing = refusals(found), dict[Group, Coordinates]()
        rng: Any = np.random.default_rng(self.seed)
        for group in named:
            node = group.members[0].weight.node
            if group in refused:
                journal.refused("widen", Declined(f"`{group.name}`: {refused[group]}", node))
                continue
            growing[group] = copies(group.size, round(group.size * self.factor), rng)
            journal.changed("widen", node)
        if not growing:
            return graph
        shares = {group.name: shared(units, self.spread, rng) for group, units in growing.items()}
        return widened(found, growing, shares)


def copies(size: int, wanted: int, rng: Any) -> Coordinates:
    """All units and then some of them again, never one twice in a row: int [wanted]."""
    found = [*range(size)]
    while len(found) < wanted:
        found.append(int((found[-1] + rng.integers(1, size)) % size))
    return np.array(found)


def shared(units: Coordinates, spread: float, rng: Any) -> Array:
    """What each unit contributes: those that are one unit come to 1 together. float64 [units]."""
    raw = 1 + spread * rng.uniform(-0.9, 0.9, len(units))
    return np.asarray(raw / np.bincount(units, raw)[units])


def widened(found: Groups, growing: Mapping[Group, Coordinates], shares: Mapping[str, Array]) -> Rewritten:
    """The network with `growing` units of some groups, each of which contributes its share, by the names of groups."""
    taken = {path_of(w) for w in found.graph.weights}
    first = Initial("ones")
    held = {
        g.axis: make(Param(free("share", taken), TensorType(DType.FLOAT, (g.size,)), first), ()).outputs[0]
        for g in growing
    }
    sharing = _with_shares(found, held)
    again = groups(sharing)
    made = cut(again, {again.by_name[g.name]: units for g, units in growing.items()}, repeated=True)
    assert made.prepare is not None
    paths = {path_of(held[g.axis]): shares[g.name] for g in growing}
    values = tuple(
        make(constant_of(paths[path], DType.FLOAT, paths[path].shape), ()).outputs[0] if path in paths else value
        for path, value in zip(made.prepare.paths, made.prepare.graph.outputs, strict=True)
    )
    prepare = replace(made.prepare.graph, outputs=values, weights=found.graph.weights)
    return Rewritten(made.graph, Prepare(prepare, made.prepare.paths))


def refusals(found: Groups) -> dict[Group, str]:
    """Why dimensions cannot grow, of those that cannot."""
    lost: dict[Axis, str] = {}
    for node in found.graph.nodes:
        lost |= _lost(found.scope, node)
    reasons = ((group, group.whole or lost.get(group.axis)) for group in found)
    return {group: reason for group, reason in reasons if reason is not None}


def _with_shares(found: Groups, held: Mapping[Axis, Value]) -> Graph:
    """The network in which what is summed over is multiplied by its shares first, which are all 1 for now."""

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        changed = [*operands]
        with marked(place=node.place, span=node.span, facts=node.facts):
            for i, axis in _sums(found.scope, node, held):
                x = changed[i]
                along = _vector(found.scope.axes[node.operands[i]][axis], held)
                shape = tuple(size if a == axis % x.rank else 1 for a, size in enumerate(x.shape))
                changed[i] = build.multiply(x, apply(Reshape(shape), along))
        return None if tuple(changed) == operands else make(node.op, changed, node.marks).outputs

    after = rebuild(found.graph, rewrite)
    nodes = set(after.nodes)
    used = (share for share in held.values() if share.node in nodes)
    return replace(after, weights=(*after.weights, *used))


def _vector(axis: Axis, held: Mapping[Axis, Value]) -> Value:
    """What each coordinate along an axis is multiplied by. Forms nest as deep as log2(size)."""
    axis = resolved(axis)
    if axis in held:
        return held[axis]
    if isinstance(axis.form, Joined):
        return apply(Concat(0), *(_vector(part, held) for part in parts(axis)))
    if isinstance(axis.form, Product):
        found, *others = (_vector(factor, held) for factor in factors(axis))
        for other in others:
            table = apply(Reshape((*found.shape, 1)), found) * apply(Reshape((1, *other.shape)), other)
            found = apply(Reshape((table.type.size,)), table)
        return found
    return apply(Full(1.0, (axis.size,)))


def _sums(scope: Scope, node: Node, growing: Container[Axis]) -> Iterator[tuple[int, int]]:
    """Of each sum over growing dimensions one operand, which is to be multiplied by shares, and its axis."""
    for i, axis in () if node in scope.inner else _summed(scope, node) or ():
        if any(leaf in growing for leaf in leaves(scope.axes[node.operands[i]][axis])):
            yield i, axis


def _lost(scope: Scope, node: Node) -> dict[Axis, str]:
    """The dimensions that a node takes in where copies of a unit could not share, with the reason."""
    if node in scope.inner:
        return _lost_inside(scope, node)
    # A slice that could cut through a dimension has made it whole already.
    if _summed(scope, node) is not None or isinstance(node.op, Slice):
        return {}
    given, left = (
        {leaf for v in values for a in scope.axes[v] for leaf in leaves(a)} for values in (node.operands, node.outputs)
    )
    return dict.fromkeys(given - left, f"`{node.op.name}` takes it in, and copies could not share there")


def _lost_inside(scope: Scope, node: Node) -> dict[Axis, str]:
    found: dict[Axis, str] = {}
    for inner in scope.inner[node]:
        for below in inner.graph.nodes:
            sums = () if below in inner.inner else _summed(inner, below) or ()
            axes = (leaf for i, axis in sums for leaf in leaves(inner.axes[below.operands[i]][axis]))
            found |= dict.fromkeys(axes, f"`{node.op.name}` sums over it inside") | _lost(inner, below)
    return found


def _summed(scope: Scope, node: Node) -> list[tuple[int, int]] | None:
    """Operand and axis of each sum of products that an operator takes; None for other operators."""
    match node.op:
        case Linear() | Conv():
            return [(1, 1)]
        case ConvTranspose(groups=1):
            return [(1, 0)]
        case Matmul():
            return [(1, max(node.operands[1].rank - 2, 0))]
        case Sum(axes=axes) if axes is not None:
            return [(0, axis % node.operands[0].rank) for axis in axes]
        case Einsum(equation=equation):
            inputs, output = terms(equation)
            # Shares of weights become part of the weights.
            order = sorted(range(len(inputs)), key=lambda i: node.operands[i] not in scope.vanishing)
            gone = sorted({letter for term in inputs for letter in term} - {*output, "..."})
            return [next(_place(inputs, i, letter) for i in order if letter in inputs[i]) for letter in gone]
        case _:
            return None


def _place(inputs: Sequence[Sequence[str]], i: int, letter: str) -> tuple[int, int]:
    """An operand and the axis of a letter in it, counted from the end where `...` stands before."""
    axis = inputs[i].index(letter)
    return i, axis - len(inputs[i]) if "..." in inputs[i][:axis] else axis
