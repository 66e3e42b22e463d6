"""Definitions: what is written once of all regions that are alike.

Two regions are alike when they apply equal operators to the same values in the same order, with weights of
the same names within them. Names of values and source lines do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeAlias

from architrave.backends.hierarchy import Chain, Item, Region, bodies_of, is_constant, post_order
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import leaves
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.ops.random import RandomBernoulli, RandomBits, RandomNormal, RandomUniform


@dataclass(eq=False)
class Definition:
    """Regions that are alike, one of which stands for all. `level` is above that of all regions inside."""

    region: Region
    level: int
    members: list[Region]
    index: int

    @property
    def name(self) -> str:
        return self.region.name


Also: TypeAlias = "Callable[[Region, Node | Region], Hashable]"


def _nothing(region: Region, item: Node | Region) -> Hashable:
    return None


def define(root: Region, also: Also = _nothing) -> dict[Region, Definition]:
    """The definition of every region, the root's included.

    `also` says what else must be equal of items that are alike, and of the nodes of weights, each in its region.
    """
    known: dict[Hashable, Definition] = {}
    found: dict[Region, Definition] = {}
    numbers: dict[Hashable, int] = {}
    for region in post_order(root):
        key = _Key(region, found, numbers, also).whole()
        definition = known.get(key)
        if definition is None:
            level = 1 + max((found[r].level for r in region.regions()), default=-1)
            definition = known[key] = Definition(region, level, [], len(known))
        definition.members.append(region)
        found[region] = definition
    return found


@dataclass
class _Key:
    """What makes a region differ from others, as a hashable value."""

    region: Region
    found: dict[Region, Definition]
    numbers: dict[Hashable, int]
    """A number for every operator, so that each is hashed once."""
    also: Also

    def whole(self) -> Hashable:
        region = self.region
        block = region.place.block if region.place is not None else None
        what = (block.kind, block.name, block.doc) if block is not None else None
        declared = tuple((region.relative(path_of(w)), w.type, self.also(region, w.node)) for w in region.weights)
        return (region.parent is None, what, declared, *self._body(region, {}))

    def _body(self, body: Region, outer: dict[Value, Hashable]) -> tuple[Hashable, ...]:
        refs: dict[Value, Hashable] = {**outer, **{v: i for i, v in enumerate(body.inputs)}}

        def ref(value: Value) -> Hashable:
            known = refs.get(value)
            if known is not None:
                return known
            if isinstance(value.op, Param | State):
                return self.region.relative(value.op.path)
            if is_constant(value):
                return self._number(value.op)
            return value.op.name

        items: list[Hashable] = []
        for item in body.items:
            items += self._item(item, body, ref)
            results = item.outputs
            refs.update((v, (len(items), i)) for i, v in enumerate(results))
        types = tuple(v.type for v in body.inputs)
        updates = tuple((self.region.relative(path_of(s)), ref(v)) for s, v in body.updates)
        return (types, tuple(items), tuple(map(ref, body.results or body.outputs)), updates)

    def _item(self, item: Item, body: Region, ref: Callable[[Value], Hashable]) -> list[Hashable]:
        match item:
            case Node(op=RandomBits() | RandomUniform() | RandomNormal() | RandomBernoulli() as op):
                number = self._number(replace(op, path=self.region.relative(op.path)))
                return [(number, self.also(self.region, item), *map(ref, item.operands))]
            case Node():
                inner = tuple(self._body(b, {}) for b in body.bodies.get(item, ()))
                number = self._number(_without_graphs(item.op))
                return [(number, self.also(self.region, item), *map(ref, item.operands), *inner)]
            case Region():
                return [self._use(item, ref)]
            case Chain():
                return [(item.fed, *(self._use(r, ref if i == 0 else _same) for i, r in enumerate(item.regions)))]

    def _use(self, region: Region, ref: Callable[[Value], Hashable]) -> Hashable:
        path = self.region.relative(region.path)
        return (self.found[region].index, path, self.also(self.region, region), *map(ref, region.inputs))

    def _number(self, what: Hashable) -> int:
        return self.numbers.setdefault(what, len(self.numbers))


def _same(value: Value) -> Hashable:
    """Inside a chain, what flows is given by its first link."""
    return None


def _without_graphs(op: Op) -> Hashable:
    """An operator that holds graphs, by its other attributes: the graphs are compared as regions."""
    if not bodies_of(op):
        return op
    rest = (tuple(leaf for leaf in leaves(getattr(op, name)) if not isinstance(leaf, Graph)) for name in op.attributes)
    return (op.name, *rest)
