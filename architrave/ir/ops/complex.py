"""Complex numbers: made of real ones, and taken apart.

The gradient of a real number by `z` is its gradient by the real part, plus `i` times that by the imaginary part.
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.angle import Atan2
from architrave.ir.ops.leaves import Full
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, complex_of, part_of, promote


class Complex(Op):
    """`re + i im`. Shapes broadcast; the parts of the result are as wide as the operands, of single precision at least.

    Infinities and NaN in one part leave the other alone.
    """

    def infer(self, re: TensorType, im: TensorType) -> TensorType:
        checks.numeric("`complex`", re, im)
        checks.real("`complex`", re, im)
        part = checks.floating(promote(re.dtype, im.dtype))
        return TensorType(complex_of(part), broadcast(re.shape, im.shape))

    def reference(self, re: Array, im: Array) -> Array:
        z = np.empty(np.broadcast_shapes(re.shape, im.shape), np.complex128)
        z.real, z.imag = re, im
        return z

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return apply(Real(), cotangents[0]), apply(Imag(), cotangents[0])

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3])
        yield sample([4, 1, 3], [2, 1])
        yield sample([], [2])
        yield sample([0, 3], [1, 3])
        yield sample(np.array([1.0, np.inf, np.nan, 0.0]), np.array([-np.inf, 2.0, 3.0, np.nan]))
        yield sample(np.array([1, 2]), [2])
        yield sample(typed(DType.F64, 2), typed(DType.F32, 2))
        yield sample([2, 3], [2, 4], error="E301")
        yield sample(typed(DType.C64, 2), [2], error="E303")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 2), error="E303")


class _OfComplex(Op, register=False):
    """Of complex numbers alone."""

    def infer(self, z: TensorType) -> TensorType:
        if not z.dtype.is_complex:
            raise error("E303", f"`{self.name}` takes complex numbers, not {z}", hint="make some: `complex(re, im)`")
        return z

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[1 + 2j, -0.5 - 0.25j, -3 + 0.5j], [2 - 1j, 0.25 + 3j, -1 - 1j]]))
        yield sample(np.array(2 - 1j))
        yield sample(typed(DType.COMPLEX, 0, 3))
        yield sample(typed(DType.C64, 2, 3))
        yield sample(typed(DType.C128, 2))
        yield sample([2], error="E303")


class _Part(_OfComplex, register=False):
    """A float for each complex number."""

    def infer(self, z: TensorType) -> TensorType:
        return super().infer(z).with_dtype(part_of(z.dtype))


class Real(_Part):
    """The real parts."""

    def reference(self, z: Array) -> Array:
        return z.real

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents


class Imag(_Part):
    """The imaginary parts."""

    def reference(self, z: Array) -> Array:
        return z.imag

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(Complex(), apply(Full(0.0, (), cotangents[0].dtype)), cotangents[0]),)


class Conj(_OfComplex):
    """`re - i im`."""

    def expand(self, z: Value) -> Value:
        return apply(Complex(), apply(Real(), z), -apply(Imag(), z))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(Conj(), cotangents[0]),)


class Angle(_Part):
    """The angle in radians, from `-pi` to `pi`, and 0 of 0."""

    def expand(self, z: Value) -> Value:
        return apply(Atan2(), apply(Imag(), z), apply(Real(), z))
