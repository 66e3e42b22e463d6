"""Pre-LN networks as networks whose stream lacks a coordinate."""

from __future__ import annotations

from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.elementwise import Rsqrt
from architrave.ir.ops.join import Concat
from architrave.ir.ops.norm import LayerNorm
from architrave.ir.ops.reduce import Sum
from architrave.passes.base import Pass
from architrave.passes.journal import Journal
from architrave.passes.reparam.coordinates import part, rewritten
from architrave.passes.reparam.pre_rmsnorm import Centred


class CrmsNorm(Pass):
    """As `pre-rmsnorm`, and the last coordinate of the stream, which is minus the sum of the others, is not stored.

    Jiang and others, "Pre-RMSNorm and Pre-CRMSNorm Transformers" (2023): compressed RMS norms, `std.norm.crms_norm`.
    """

    for_inference = True

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Linear layers that read norms take `W_j - W_last` of each coordinate; for others the last one is computed."""
        return rewritten(graph, _Compressed(), journal)


class _Compressed:
    """Vectors without their mean, and without their last coordinate."""

    norm = LayerNorm

    def width(self, d: Size) -> Size:
        return d - 1

    def written(self, vectors: Value, axis: int) -> Value:
        return part(Centred().written(vectors, axis), axis, 0, vectors.shape[axis] - 1)

    def read(self, functionals: Value, axis: int) -> Value:
        last = functionals.shape[axis] - 1
        return part(functionals, axis, 0, last) - part(functionals, axis, last, last + 1)

    def normed(self, x: Value, eps: float) -> Value:
        total = apply(Sum((-1,), keep=True), x)
        squares = apply(Sum((-1,), keep=True), x * x) + total * total
        return x * apply(Rsqrt(), squares / (x.shape[-1] + 1) + eps)

    def restored(self, y: Value) -> Value:
        return apply(Concat(-1), y, -apply(Sum((-1,), keep=True), y))
