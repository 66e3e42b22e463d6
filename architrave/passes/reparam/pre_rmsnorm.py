"""Pre-LN networks as Pre-RMSNorm networks."""

from __future__ import annotations

from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.ir.ops.statistics import Mean
from architrave.passes.base import Pass
from architrave.passes.journal import Journal
from architrave.passes.reparam.coordinates import rewritten


class PreRmsnorm(Pass):
    """Layer norms of a residual stream become RMS norms: whatever writes to it writes vectors of mean zero.

    Jiang and others, "Pre-RMSNorm and Pre-CRMSNorm Transformers: Equivalent and Efficient Pre-LN Transformers" (2023).
    A layer norm takes the mean away, so that nothing reads it where layer norms alone read the stream. Their weights
    go into the linear layers behind them.
    """

    for_inference = True

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """A stream that anything else reads, or that something writes to which has no weights, stays as it is."""
        return rewritten(graph, Centred(), journal)


class Centred:
    """Vectors without their mean, which a layer norm does not see. The norm of such a vector is an RMS norm."""

    norm = LayerNorm

    def width(self, d: Size) -> Size:
        return d

    def written(self, vectors: Value, axis: int) -> Value:
        return vectors - apply(Mean((axis,), keep=True), vectors)

    def read(self, functionals: Value, axis: int) -> Value:
        return functionals

    def normed(self, x: Value, eps: float) -> Value:
        return apply(RmsNorm(eps), x)

    def restored(self, y: Value) -> Value:
        return y
