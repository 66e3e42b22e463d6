"""Statistics over the active coordinates of an axis alone, where a mask leaves out the others.

To set weights to zero is to leave out channels, but for what divides by their number: layer norms over channels. As in
Liao, Karaman and Sze, "Searching for Efficient Multi-Stage Vision Transformers" (2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.axes.axis import Axis
from architrave.ir.axes.groups import Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.rest import Coordinates
from architrave.ir.dims import product
from architrave.ir.expand import expansion
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.nested import rebuild_nested
from architrave.ir.op import Op
from architrave.ir.ops import checks
from architrave.ir.ops.statistics import Mean, Var
from architrave.ir.place import marked
from architrave.ir.rewrite import inline, rebuild
from architrave.ir.storage import constant_of
from architrave.ir.types import TensorType


def spelled_out(graph: Graph) -> Graph:
    """The graph with everything that takes statistics, such as layer norms, as means and variances."""

    def rewrite(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        types = tuple(v.type for v in operands)
        if isinstance(op, Mean | Var) or not _takes_statistics(op, types):
            return None
        return inline(spelled_out(expansion(op, types)), operands, node.place)

    return rebuild_nested(graph, rewrite)


def over_active(found: Groups, units: Mapping[Axis, Coordinates]) -> Graph:
    """The graph with means and variances over these units of dimensions alone, not over the others.

    Those inside of loops and modes stay as they are.
    """

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not isinstance(node.op, Mean | Var):
            return None
        axes = found.scope.axes[node.operands[0]]
        active = {i: selected(axes[i], units) for i in checks.axis_set(node.op.axes, len(axes))}
        if all(places is None for places in active.values()):
            return None
        with marked(place=node.place):
            return (_statistic(node.op, operands[0], active),)

    return rebuild(found.graph, rewrite)


def _statistic(op: Mean | Var, x: Value, active: Mapping[int, Coordinates | None]) -> Value:
    axes = [*active]
    left = [x.shape[axis] if at is None else len(at) for axis, at in active.items()]
    correction = op.correction if isinstance(op, Var) else 0
    count = product(left)
    if isinstance(op, Var):
        x = build.subtract(x, build.divide(build.sum(_masked(x, active), axes, keep=True), count))
        x = build.multiply(x, x)
    found: Value = build.divide(build.sum(_masked(x, active), axes, keep=op.keep), count - correction)
    return found


def _masked(x: Value, active: Mapping[int, Coordinates | None]) -> Value:
    """`x` with zeros where it is not active."""
    for axis, at in active.items():
        if at is None:
            continue
        size = x.shape[axis]
        assert isinstance(size, int), "only axes of a known size have units"
        mask = np.zeros(size)
        mask[at] = 1
        shape = (size, *(1 for _ in x.shape[axis + 1 :]))
        x = build.multiply(x, make(constant_of(mask, x.dtype, shape), ()).outputs[0])
    return x


@lru_cache(maxsize=4096)
def _takes_statistics(op: Op, types: tuple[TensorType, ...]) -> bool:
    """Whether an operator is made of means or variances. Composites nest a few levels deep."""
    if isinstance(op, Mean | Var):
        return True
    if not op.is_composite():
        return False
    inner = expansion(op, types).nodes
    return any(_takes_statistics(node.op, tuple(v.type for v in node.operands)) for node in inner)
