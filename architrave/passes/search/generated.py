"""Networks whose weights are what another network gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.dims import Size, product
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.nested import rebuild_nested
from architrave.ir.op import Op
from architrave.ir.ops.join import Slice
from architrave.ir.ops.leaves import Param
from architrave.ir.place import marked


def generated(network: Graph, rows: Value, slots: Mapping[str, int], weights: Sequence[Value] = ()) -> Graph:
    """The network with those of its params that have slots made of the beginnings of `rows`, [slots, count].

    `weights` are those that the rows are made of. A generated weight is as large as one at the start of a network is:
    its row over the root of what a unit sums over, half of that before `relu`.
    """

    def rewrite(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not isinstance(op, Param) or op.path not in slots:
            return None
        with marked(place=node.place):
            return (weight_of(rows, slots[op.path], op.type.shape),)

    after = rebuild_nested(replace(network, weights=tuple(w for w in network.weights if not _in(w, slots))), rewrite)
    return replace(after, weights=(*weights, *after.weights))


def weight_of(rows: Value, slot: int, shape: Sequence[Size]) -> Value:
    """The weight that stands at the beginning of a row."""
    count, summed = known(product(shape)), known(product(shape[1:]))
    flat: Value = apply(Slice((slot, 0), (slot + 1, count), (1, 1)), rows)
    found: Value = build.multiply(build.reshape(flat, list(shape)), sqrt(2 / summed))
    return found


def _in(weight: Value, slots: Mapping[str, int]) -> bool:
    return isinstance(weight.op, Param) and weight.op.path in slots
