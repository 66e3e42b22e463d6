"""Products by additions: the bits of two floats, added as integers, are about those of their product.

Luo and Sun, "Addition is All You Need for Energy-efficient Language Models" (2024). With `a = (1 + x) * 2 ** e` and
`b = (1 + y) * 2 ** f` the paper writes `(1 + x + y + 2 ** -l) * 2 ** (e + f)` in place of `(1 + x + y + x * y) * ...`,
and computes it by adding the bits. The two differ where `x + y + 2 ** -l` is 1 or more: what is above 1 is carried into
the exponent then, and counts double. Here it is the sum of bits (docs/numerics.md, "Number formats").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.mantissa import LEADING, MANTISSA, RoundMantissa
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote

BIAS = 127 * LEADING
INFINITY = 255 * LEADING
NAN = INFINITY + LEADING // 2


def correction(mantissa: int) -> int:
    """The `l` for mantissas of so many bits: `2 ** -l` stands for the product of two mantissas. The paper's (2)."""
    return mantissa if mantissa <= 3 else 3 if mantissa == 4 else 4


class _Additive(Op, register=False):
    """Operands are float32 with their mantissas rounded half to even, whatever the precision of the run."""

    mantissa: int = MANTISSA
    surrogate = "that of the true product"

    @property
    def offset(self) -> int:
        """What the sum of the bits lacks: once the bias of an exponent too many, and the correction."""
        return (LEADING >> correction(self.mantissa)) - BIAS

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        if not 1 <= self.mantissa <= MANTISSA:
            raise error("E307", f"`{self.name}` takes 1 to {MANTISSA} bits of a mantissa, not {self.mantissa}")
        bad = next((x for x in (a, b) if not x.dtype.is_float), None)
        if bad is not None:
            raise error("E303", f"`{self.name}` multiplies floats, not {bad}")
        return TensorType(promote(a.dtype, b.dtype), self._shape(a, b))

    def _shape(self, a: TensorType, b: TensorType) -> tuple[Size, ...]:
        return broadcast(a.shape, b.shape)

    def _products(self, a: Array, b: Array) -> Array:
        """Element by element, as float32."""
        x, y = (_bits(RoundMantissa(self.mantissa).reference(operand)) for operand in (a, b))
        low, high = np.minimum(x, y), np.maximum(x, y)
        total = low + high + self.offset
        zero = (low < LEADING) | (total < LEADING)
        total = np.where(zero, 0, np.minimum(total, INFINITY))
        total = np.where(high >= INFINITY, np.where(low < LEADING, NAN, high), total)
        size = total.astype(np.int32).view(np.float32)
        return np.where(np.signbit(a) != np.signbit(b), -size, size)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2], typed(DType.I32, 2), error="E303")
        yield sample([2, 2], [2, 2], mantissa=0, error="E307")
        yield sample([2, 2], [2, 2], mantissa=24, error="E307")


class LMul(_Additive, name="l_mul"):
    """About `a * b`: the sum of the bits of two floats, less the bias of an exponent, plus `2 ** -l` in the mantissa.

    `mantissa` is how many bits of the operands' mantissas are kept; `l` is as many up to 3, 3 for 4, and 4 for more.
    Less than the least normal float32 is 0, also of the operands; beyond the largest is infinite. The gradient is that
    of the true product, where that is finite.
    """

    def reference(self, a: Array, b: Array) -> Array:
        return self._products(*np.broadcast_arrays(a, b)).astype(np.float64)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        flowing = _where_finite(a * b, g)
        return flowing * b, flowing * a

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        mantissas = 1 + np.arange(8) / 8
        scales = np.array([1.0, -(2.0**-60), 2.0**-100, 2.0**100, 2.0**127, 2.0**-126])
        numbers = np.concatenate([np.outer(scales, mantissas).ravel(), [0.0, -0.0, 2.0**-130]])
        yield sample([4, 1, 3], [2, 1])
        yield sample([], [2])
        yield sample([0, 3], [1, 3])
        yield sample(typed(DType.BF16, 5), [5], mantissa=7)
        yield sample(numbers[:, None], numbers)
        for mantissa in (1, 2, 3, 4, 5, 10):
            yield sample([6, 5], [5], mantissa=mantissa)
        edges = np.array([np.inf, -np.inf, np.nan, 0.0, 1.5])
        yield sample(edges[:, None], edges)
        yield sample([2], [3], error="E301")
        yield from super().samples()


class LMulMatmul(_Additive, name="l_mul_matmul"):
    """`matmul` by `l_mul`: a [..., M, K], b [..., K, N] -> [..., M, N].

    Products are added in float32, the first half of K to the second, and again, so that every backend adds the same
    numbers; of an odd number the last one waits. All products of some rows are there at a time. The gradient is that
    of `matmul`.
    """

    def _shape(self, a: TensorType, b: TensorType) -> tuple[Size, ...]:
        for operand in (a, b):
            checks.at_least(f"an operand of `{self.name}`", operand, 2)
        checks.same(f"the inner sizes of `{self.name}`", a.shape[-1], f"{a}", b.shape[-2], f"{b}")
        checks.not_empty(f"`{self.name}`", a, (a.rank - 1,))
        return (*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])

    def reference(self, a: Array, b: Array) -> Array:
        products = self._products(*np.broadcast_arrays(a[..., :, None], b[..., None, :, :]))
        while (count := products.shape[-2]) > 1:
            half = count // 2
            sums = products[..., :half, :] + products[..., half : 2 * half, :]
            products = np.concatenate([sums, products[..., 2 * half :, :]], -2)
        return products[..., 0, :].astype(np.float64)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        flowing = _where_finite(build.matmul(a, b), g)
        return build.matmul(flowing, _transposed(b)), build.matmul(_transposed(a), flowing)

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [3, 4])
        yield sample([2, 1, 2, 7], [3, 7, 4], mantissa=3)
        yield sample([5, 8], [2, 8, 1], mantissa=4)
        yield sample(typed(DType.BF16, 2, 3), [3, 4], mantissa=7)
        yield sample([2, 1], [1, 2])
        yield sample([0, 3], [3, 2])
        yield sample([2, 0], [0, 2], error="E310")
        yield sample([2, 3], [2, 3], error="E305")
        yield sample([3], [3, 2], error="E304")
        yield from super().samples()


def _bits(x: Array) -> Array:
    """The bits of float32 without the sign."""
    sizes: Array = np.abs(x).astype(np.float32).reshape(-1).view(np.int32)
    return sizes.astype(np.int64).reshape(x.shape)


def _where_finite(product: Value, g: Value) -> Value:
    flowing: Value = build.where(build.isfinite(product), g, 0.0)
    return flowing


def _transposed(x: Value) -> Value:
    order = (*range(x.rank - 2), x.rank - 1, x.rank - 2)
    turned: Value = build.transpose(x, order)
    return turned
