"""Activations that are 0 but for a few elements, and products that skip what is 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Matmul
from architrave.ir.ops.order import Topk
from architrave.ir.types import DType, TensorType


class KeepTopk(Op):
    """The `k` largest elements along an axis where they stand, and 0 in the place of the others.

    Of equal elements the first is kept, so that at most `k` differ from 0. Li and others, "The Lazy Neuron Phenomenon:
    On Emergence of Activation Sparsity in Transformers" (2023), section 4.
    """

    k: Size
    axis: int = -1

    def infer(self, x: TensorType) -> TensorType:
        values, _ = Topk(self.k, self.axis).infer(x)
        return values.with_shape(x.shape)

    def expand(self, x: Value) -> Value:
        values, places = build.topk(x, k=self.k, axis=self.axis)
        zeros = build.full(value=0.0 if x.dtype.is_float else 0, shape=x.shape, dtype=x.dtype)
        kept: Value = build.scatter_add(zeros, places, values, axis=self.axis)
        return kept

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5], k=3)
        yield sample([5, 2], k=1, axis=0)
        yield sample([2, 3], k=0)
        yield sample([0, 3], k=2)
        yield sample(np.array([[3.0, 1.0, 3.0, 3.0], [0.0, 0.0, 0.0, 0.0]]), k=2)
        yield sample(typed(DType.I64, 2, 9), high=3, k=4)
        yield sample([2, 3], k=4, error="E307")
        yield sample([2, 3], k=1, axis=2, error="E302")


class ActiveRows(Op):
    """`x @ rows`, of x [..., I] that is often 0 and rows [I, O], which need not be read where it is.

    A backend that can choose while it runs (NumPy) reads those rows alone that x names; others take the whole product.
    """

    def infer(self, x: TensorType, rows: TensorType) -> TensorType:
        checks.ranked(f"the rows of `{self.name}`", rows, 2, "[in, out]")
        return Matmul().infer(x, rows)

    def expand(self, x: Value, rows: Value) -> Value:
        return apply(Matmul(), x, rows)

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        """Those of the whole product: how many are skipped only the data say."""
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3], [3, 4])
        yield sample([2, 5, 3], [3, 4])
        yield sample(np.array([[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0]]), [8, 3])
        yield sample(np.zeros(8), [8, 3])
        yield sample([0, 3], [3, 4])
        yield sample([2, 0], [0, 4])
        yield sample([2, 3], [4, 3], error="E305")
        yield sample([2, 3], [3], error="E304")
        yield sample([], [4, 3], error="E304")
        yield sample(typed(DType.BOOL, 2, 3), typed(DType.BOOL, 3, 4), error="E303")
