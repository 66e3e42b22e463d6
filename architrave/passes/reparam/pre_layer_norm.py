"""Pre-RMSNorm networks as Pre-LN networks."""

from __future__ import annotations

from math import sqrt

from architrave.ir.arrays import known
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.join import Concat
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.ir.ops.reduce import Sum
from architrave.passes.base import Pass
from architrave.passes.journal import Journal
from architrave.passes.reparam.coordinates import part, rewritten


class PreLayerNorm(Pass):
    """RMS norms of a residual stream become layer norms: its vectors get one more coordinate, and mean zero.

    The other direction of Jiang and others, "Pre-RMSNorm and Pre-CRMSNorm Transformers" (2023), for every network: the
    vectors are turned into the space of those of mean zero, which leaves their lengths and products as they are.
    """

    for_inference = True

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """A stream that anything else reads, or that something writes to which has no weights, stays as it is."""
        return rewritten(graph, _Turned(), journal)


class _Turned:
    """A vector x of d coordinates with sum s as `x - a * s` and, last, `-b * s`: of mean zero, and as long.

    That asks for `b = 1 - d * a` and `d * a ** 2 - 2 * a + b ** 2 = 0`.
    """

    norm = RmsNorm

    def width(self, d: Size) -> Size:
        return d + 1

    def written(self, vectors: Value, axis: int) -> Value:
        a, b = _numbers(vectors.shape[axis])
        total = apply(Sum((axis,), keep=True), vectors)
        return apply(Concat(axis), vectors - a * total, -b * total)

    def read(self, functionals: Value, axis: int) -> Value:
        return self.written(functionals, axis) * _factor(functionals.shape[axis])

    def normed(self, x: Value, eps: float) -> Value:
        # The mean of the squares is over one more.
        d = known(x.shape[-1]) - 1
        return apply(LayerNorm(eps * d / (d + 1)), x)

    def restored(self, y: Value) -> Value:
        d = known(y.shape[-1]) - 1
        a, b = _numbers(d)
        x = part(y, y.rank - 1, 0, d)
        turned = x - (a * apply(Sum((-1,), keep=True), x) + b * part(y, y.rank - 1, d, d + 1))
        return turned * _factor(d)


def _numbers(d: Size) -> tuple[float, float]:
    b = 1 / sqrt(known(d) + 1)
    return (1 - b) / known(d), b


def _factor(d: Size) -> float:
    """What a layer norm of d + 1 coordinates is times the RMS norm of d, the other way round."""
    return sqrt(known(d) / (known(d) + 1))
