"""What a network costs, as a function of the sizes of its groups.

A node's multiply-adds are a product of sizes of axes, and an axis is made of groups by sums and products. So what a
network costs is a polynomial in the sizes of its groups: it is read off the types once and exact for every cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from architrave.ir.arrays import np
from architrave.ir.axes.axis import Axis, Joined, Product, resolved
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.relations import Scope
from architrave.ir.axes.rest import Coordinates
from architrave.ir.cost import Sizes, turns
from architrave.ir.dims import Dim, Monomial, Size, product, substitute, symbol
from architrave.ir.graph import Node, Value
from architrave.ir.ops.leaves import Param


@dataclass(frozen=True)
class Polynomial:
    """Terms, each a coefficient times some of the sizes: `factors` are their numbers, one past all stands for 1."""

    coefficients: Coordinates
    factors: Coordinates

    def __call__(self, sizes: Coordinates) -> int:
        """Its value where the groups have these sizes: int [groups]."""
        extended = np.append(sizes, 1)
        return int((self.coefficients * extended[self.factors].prod(axis=1)).sum())


def parameters(groups: Groups, cut: Sequence[Group]) -> Polynomial:
    """The trained numbers of a network, by the sizes of the groups that may be cut."""
    made = _Sizes(cut, {})
    return _polynomial((made.elements(groups.scope, w) for w in groups.graph.weights if isinstance(w.op, Param)), cut)


def multiply_adds(groups: Groups, cut: Sequence[Group], sizes: Sizes) -> Polynomial:
    """The multiply-adds of one run, by the sizes of the groups that may be cut. `sizes` binds all symbols."""
    made = _Sizes(cut, sizes)
    return _polynomial((times * made.own(scope, node) for scope, node, times in _runs(groups.scope, made)), cut)


def units(cut: Sequence[Group]) -> Polynomial:
    """The units of all groups."""
    return Polynomial(np.ones(len(cut), np.intp), np.arange(len(cut))[:, None])


class _Sizes:
    """Sizes of axes in terms of those of groups, for which symbols stand that no network has."""

    def __init__(self, cut: Sequence[Group], sizes: Sizes) -> None:
        self.sizes = sizes
        self._known: dict[Axis, Size] = {group.axis: symbol(f"#{i}") for i, group in enumerate(cut)}

    def of(self, axis: Axis) -> Size:
        """The size of an axis. Forms nest as deep as log2(size)."""
        axis = resolved(axis)
        if axis not in self._known:
            self._known[axis] = self._made(axis)
        return self._known[axis]

    def bound(self, size: Size) -> Size:
        """A size without the symbols of the network."""
        return substitute(size, self.sizes)

    def elements(self, scope: Scope, value: Value) -> Size:
        """How many elements a value has."""
        return product(self._shape(scope, value))

    def own(self, scope: Scope, node: Node) -> Size:
        """The multiply-adds of a node, without the graphs inside it."""
        if node.op.multiply_adds([v.type for v in node.operands], node.types) == 0:
            return 0
        operands = [v.type.with_shape(self._shape(scope, v)) for v in node.operands]
        results = tuple(v.type.with_shape(self._shape(scope, v)) for v in node.outputs)
        return node.op.multiply_adds(operands, results)

    def _shape(self, scope: Scope, value: Value) -> tuple[Size, ...]:
        return tuple(map(self.of, scope.axes[value]))

    def _made(self, axis: Axis) -> Size:
        match axis.form:
            case Joined(parts=inner):
                return sum((self.of(part) for part in inner), start=0)
            case Product(factors=inner):
                return product(map(self.of, inner))
            case _:
                return self.bound(axis.size)


def _runs(scope: Scope, made: _Sizes) -> Iterator[tuple[Scope, Node, Size]]:
    """Every node in its scope, and how often it runs."""
    pending: list[tuple[Scope, Size]] = [(scope, 1)]
    while pending:
        scope, times = pending.pop()
        for node in scope.graph.nodes:
            yield scope, node, times
            often = {id(graph): count for graph, count in turns(node.op)}
            inner = scope.inner.get(node, ())
            pending += [(s, times * made.bound(often[id(s.graph)])) for s in inner if id(s.graph) in often]


def _polynomial(sizes: Iterator[Size], cut: Sequence[Group]) -> Polynomial:
    terms: dict[Monomial, int] = {}
    for size in sizes:
        for monomial, coefficient in size.terms if isinstance(size, Dim) else (((), size),):
            terms[monomial] = terms.get(monomial, 0) + coefficient
    numbers: Mapping[str, int] = {f"#{i}": i for i in range(len(cut))}
    listed = [[numbers[str(atom)] for atom, power in monomial for _ in range(power)] for monomial in terms]
    degree = max(map(len, listed), default=0)
    padded = [[*factors, *[len(cut)] * (degree - len(factors))] for factors in listed]
    return Polynomial(np.array([*terms.values()], np.intp), np.array(padded, np.intp).reshape(len(padded), degree))
