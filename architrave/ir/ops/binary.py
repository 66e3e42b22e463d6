"""Numbers of one bit: -1 and 1."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, sample, typed
from architrave.ir.ops.elementwise import Abs
from architrave.ir.ops.logic import Cast, StopGradient, Where
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType


class Binarize(Op):
    """1 where `x` is at least 0, else -1, of NaN too; never anything between.

    Its slope is 1 from -1 to 1 and 0 outside (the clipped straight-through estimator). Given a `surrogate`, a float
    tensor of the shape of `x`, the whole gradient goes there and none to `x`; its values do not matter as long as they
    are finite. Courbariaux and others, "Binarized Neural Networks" (2016).
    """

    surrogate = "straight through from -1 to 1"

    def infer(self, x: TensorType, surrogate: TensorType | None = None) -> TensorType:
        if not x.dtype.is_float:
            raise error("E303", f"`binarize` takes floats, not {x}", hint="cast it first: `cast(x, f32)`")
        if surrogate is not None and surrogate != x:
            raise error("E305", f"the surrogate of `binarize` must be {x}, as what it binarizes, not {surrogate}")
        return x

    def expand(self, x: Value, surrogate: Value | None = None) -> Value:
        if surrogate is None:
            surrogate = apply(Where(), apply(Abs(), x) <= 1.0, x, 0.0)
        sign = apply(Cast(x.dtype), apply(Where(), x >= 0.0, 1.0, -1.0))
        return sign + (surrogate - apply(StopGradient(), surrogate))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (g,) = cotangents
        if len(operands) == 2:
            return None, g
        return (apply(Where(), apply(Abs(), operands[0]) <= 1.0, g, 0.0),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        edges = np.array([-np.inf, -1.5, -1.0, -0.5, -0.0, 0.0, 1e-30, 1.0, 2.0, np.inf, np.nan])
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3])
        yield sample(edges)
        yield sample(edges, np.linspace(-2.0, 2.0, len(edges)))
        yield sample([2, 3], [2, 3])
        yield sample(typed(DType.I32, 2), error="E303")
        yield sample([2, 3], [3], error="E305")
