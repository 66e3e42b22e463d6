"""Comparisons, truth values, selection and casts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir.arrays import Array, held, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote

_EXTREME = (math.nan, math.inf, -math.inf, 300.7, -1.5, 127.5, 255.9, 2.0**31, 2.0**32, 2.0**63, -(2.0**63), 1e20)
"""Floats that some integer type, or none, can hold."""


class _Comparison(Op, register=False):
    """Shapes broadcast; operands are compared in the dtype that they promote to. NaN equals nothing."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return TensorType(DType.BOOL, broadcast(a.shape, b.shape))

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3])
        yield sample(typed(DType.I64, 4, 1, 3), typed(DType.I64, 2, 1))
        yield sample([0, 3], [])
        yield sample(np.array([1.0, np.nan, -0.0, np.inf]), np.array([1.0, np.nan, 0.0, 2.0]))
        yield sample([2, 3], [3, 2], error="E301")


class _Order(_Comparison, register=False):
    """Complex numbers have no order."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", a, b)
        return super().infer(a, b)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([2], typed(DType.C64, 2), error="E303")


class Equal(_Comparison):
    """`a == b`."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)


class NotEqual(_Comparison):
    """`a != b`; true of two NaNs."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.not_equal(a, b)


class Less(_Order):
    """`a < b`."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.less(a, b)


class LessEqual(_Order):
    """`a <= b`."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.less_equal(a, b)


class Greater(_Order):
    """`a > b`."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.greater(a, b)


class GreaterEqual(_Order):
    """`a >= b`."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.greater_equal(a, b)


class _Connective(Op, register=False):
    """Of truth values; shapes broadcast."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.boolean(f"the first operand of `{self.name}`", a)
        checks.boolean(f"the second operand of `{self.name}`", b)
        return TensorType(DType.BOOL, broadcast(a.shape, b.shape))

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.BOOL, 4, 3), typed(DType.BOOL, 3))
        yield sample(typed(DType.BOOL, 0), typed(DType.BOOL))
        yield sample(np.array([True, True, False, False]), np.array([True, False, True, False]))
        yield sample(typed(DType.BOOL, 2), [2], error="E303")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 3), error="E301")


class LogicalAnd(_Connective):
    """Whether both are true."""

    def reference(self, a: Array, b: Array) -> Array:
        return a & b


class LogicalOr(_Connective):
    """Whether one is true, or both."""

    def reference(self, a: Array, b: Array) -> Array:
        return a | b


class LogicalNot(Op):
    """Whether it is false."""

    def infer(self, x: TensorType) -> TensorType:
        checks.boolean("the operand of `logical_not`", x)
        return x

    def reference(self, x: Array) -> Array:
        return ~x

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([True, False]))
        yield sample(typed(DType.BOOL, 0, 2))
        yield sample(typed(DType.I64, 2), error="E303")


class Where(Op):
    """`a` where `condition` is true, `b` elsewhere. All three broadcast; `a` and `b` promote."""

    def infer(self, condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
        checks.boolean("the condition of `where`", condition)
        return TensorType(promote(a.dtype, b.dtype), broadcast(condition.shape, a.shape, b.shape))

    def reference(self, condition: Array, a: Array, b: Array) -> Array:
        return np.where(condition, a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        condition, (g,) = operands[0], cotangents
        return None, apply(Where(), condition, g, 0.0), apply(Where(), condition, 0.0, g)

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.BOOL, 2, 3), [2, 3], [2, 3])
        yield sample(typed(DType.BOOL, 3), [2, 1], [])
        yield sample(typed(DType.BOOL, 4), typed(DType.I32, 4), typed(DType.I64, 4))
        yield sample(np.array([True, False]), np.array([1.0, np.nan]), np.array([np.nan, 2.0]))
        yield sample(typed(DType.BOOL, 0, 1), [3], [])
        yield sample(typed(DType.BOOL, 3), [3], typed(DType.COMPLEX, 3))
        yield sample([2], [2], [2], error="E303")
        yield sample(typed(DType.BOOL, 2), [3], [3], error="E301")


class _FloatTest(Op, register=False):
    """Only floats can be NaN or infinite."""

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_float:
            raise error("E303", f"`{self.name}` asks about floats, not {x}", hint="integers are always finite")
        return x.with_dtype(DType.BOOL)

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([1.0, np.nan, np.inf, -np.inf, 0.0]))
        yield sample([0, 2])
        yield sample(typed(DType.I64, 2), error="E303")


class Isnan(_FloatTest):
    """Whether each element is NaN."""

    def reference(self, x: Array) -> Array:
        return np.isnan(x)


class Isfinite(_FloatTest):
    """Whether each element is neither infinite nor NaN."""

    def reference(self, x: Array) -> Array:
        return np.isfinite(x)


class Isinf(_FloatTest):
    """Whether each element is infinite, of either sign."""

    def expand(self, x: Value) -> Value:
        finite, nan = apply(Isfinite(), x), apply(Isnan(), x)
        return apply(LogicalNot(), apply(LogicalOr(), finite, nan))


class Cast(Op):
    """`x` as another dtype.

    To a narrower float it rounds to the nearest, ties to even; from a float to integers it cuts off the
    fraction; to truth values it asks `x != 0`. What an integer type cannot hold wraps around if it was an
    integer; if it was a float it becomes the nearest integer that there is, and NaN becomes 0.
    """

    vanishes = "sum"

    dtype: DType

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype.is_complex and not self.dtype.is_complex:
            raise error("E303", f"{x} cannot be cast to {self.dtype}: it would lose its imaginary part")
        return x.with_dtype(self.dtype)

    def reference(self, x: Array) -> Array:
        if not self.dtype.is_integer or x.dtype.kind != "f":
            return x.astype(held(self.dtype))
        bounds = np.iinfo(held(self.dtype))
        # The largest i64 is no float64: 2.0 ** 63 is one too large.
        inside = np.where((x > bounds.min) & (x < bounds.max), x, 0).astype(held(self.dtype))
        return np.where(x <= bounds.min, bounds.min, np.where(x >= bounds.max, bounds.max, inside))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([-1.75, -0.5, 0.0, 0.5, 2.75]), dtype=DType.I64)
        yield sample(np.array([-1.75, -0.5, 0.0, 0.5]), dtype=DType.BOOL)
        yield sample(np.array([0, 300, -1]), dtype=DType.U8)
        yield from (sample(np.array(_EXTREME), dtype=dtype) for dtype in DType if dtype.is_integer)
        yield sample(typed(DType.BOOL, 2, 3), dtype=DType.FLOAT)
        yield sample(typed(DType.I64, 3), dtype=DType.FLOAT)
        yield sample([0, 3], dtype=DType.I32)
        yield sample(typed(DType.F32, 2, 3), dtype=DType.BF16)
        yield sample([2, 3], dtype=DType.COMPLEX)
        yield sample(typed(DType.I64, 2), dtype=DType.C64)
        yield sample(typed(DType.C64, 2), dtype=DType.F32, error="E303")


class StopGradient(Op):
    """`x`; no gradient flows back through it."""

    vanishes = "sum"

    def infer(self, x: TensorType) -> TensorType:
        return x

    def reference(self, x: Array) -> Array:
        return x

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample(typed(DType.I64, 0))
