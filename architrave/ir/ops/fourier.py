"""Discrete Fourier transforms, along one axis or two.

`n` cuts the axis or fills it up with zeros first. `norm` says what is divided by `n`: "backward" the inverse transform,
"forward" the other, "ortho" both by the root of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Dim, Size, floor_div
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.complex import Conj, Real
from architrave.ir.ops.elementwise import Cos, Sin
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast
from architrave.ir.types import DType, TensorType, complex_of, normalize_axis, part_of

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations

Norm: TypeAlias = Literal["backward", "ortho", "forward"]
_TURNED: dict[Norm, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


HALF = "no framework transforms numbers of 16 bits"


class _Along(Op, register=False):
    """A transform along one axis."""

    n: int | Dim | None = None
    axis: int = -1
    norm: Norm = "backward"

    def infer(self, x: TensorType) -> TensorType:
        return _resized(_spectrum(self.name, x), self.axis, self.length(x.shape))

    def length(self, shape: Sequence[Size]) -> Size:
        """The length of the transform: `n`, or that of the axis."""
        length = shape[normalize_axis(self.axis, len(shape))] if self.n is None else self.n
        checks.positive(f"the length of `{self.name}`", (length,))
        return length

    def relate(self, relations: Relations, x: Axes) -> Related:
        axis = normalize_axis(self.axis, len(x))
        rest = relations.new()[axis]
        relations.fixed((x[axis], rest))
        return ((*x[:axis], rest, *x[axis + 1 :]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5])
        yield sample(typed(DType.COMPLEX, 2, 6))
        yield sample(typed(DType.COMPLEX, 4, 2, 3), axis=0, norm="ortho")
        yield sample(typed(DType.COMPLEX, 7), n=4, norm="forward")
        yield sample(typed(DType.COMPLEX, 3), n=8)
        yield sample(typed(DType.C64, 4), norm="ortho")
        yield sample([1, 1])
        yield sample([0, 3])
        yield sample(np.array([1, 2, 3]))
        yield sample([2, 0], error="E307")
        yield sample([2, 3], n=0, error="E307")
        yield sample([2, 3], axis=2, error="E302")
        yield sample(typed(DType.BOOL, 3), error="E303")


class _OfReal(_Along, register=False):
    """A transform that complex numbers are not for."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5])
        yield sample([2, 6])
        yield sample([4, 2, 3], axis=0, norm="ortho")
        yield sample([7], n=4, norm="forward")
        yield sample([3], n=8)
        yield sample(typed(DType.F32, 4), norm="ortho")
        yield sample([1, 1])
        yield sample([0, 3])
        yield sample(np.array([1, 2, 3]))
        yield sample([2, 0], error="E307")
        yield sample([2, 3], axis=2, error="E302")
        yield sample(typed(DType.C64, 3), error="E303")


class Fft(_Along):
    """`y[k] = sum over j of x[j] * exp(-2 pi i j k / n)`; complex."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.fft.fft(x, None if self.n is None else known(self.n), self.axis, self.norm))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        back = apply(Ifft(None, self.axis, _TURNED[self.norm]), cotangents[0])
        return (_fitted(back, self.axis, operands[0].shape),)


class Ifft(_Along):
    """`y[j] = sum over k of x[k] * exp(2 pi i j k / n) / n`; complex."""

    def expand(self, x: Value) -> Value:
        x = _complex(x)
        return apply(Conj(), apply(Fft(self.n, self.axis, _TURNED[self.norm]), apply(Conj(), x)))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        back = apply(Fft(None, self.axis, _TURNED[self.norm]), cotangents[0])
        return (_fitted(back, self.axis, operands[0].shape),)


class Rfft(_OfReal):
    """The first `n // 2 + 1` elements of the transform of real numbers, which tell the others."""

    def infer(self, x: TensorType) -> TensorType:
        checks.real("`rfft`", x)
        return _resized(_spectrum("rfft", x), self.axis, floor_div(self.length(x.shape), 2) + 1)

    def expand(self, x: Value) -> Value:
        whole = apply(Fft(self.n, self.axis, self.norm), x)
        return _cut(whole, self.axis, 0, floor_div(self.length(x.shape), 2) + 1)


class Irfft(_Along):
    """The `n` real numbers whose `rfft` is `x`; `n` is `2 * (m - 1)` for `m` elements unless given.

    The imaginary part of the first element, and for an even `n` of the last, does not count.
    """

    not_in_bf16 = HALF

    def infer(self, x: TensorType) -> TensorType:
        result = _spectrum("irfft", x)
        return _resized(result.with_dtype(part_of(result.dtype)), self.axis, self.length(x.shape))

    def length(self, shape: Sequence[Size]) -> Size:
        length = 2 * (shape[normalize_axis(self.axis, len(shape))] - 1) if self.n is None else self.n
        checks.positive("the length of `irfft`", (length,))
        return length

    def expand(self, x: Value) -> Value:
        n = self.length(x.shape)
        half = floor_div(n, 2) + 1
        shape = list(x.shape)
        shape[self.axis] = half
        x = _fitted(_complex(x), self.axis, shape)
        others = apply(Conj(), build.flip(_cut(x, self.axis, 1, floor_div(n + 1, 2)), [self.axis]))
        return apply(Real(), apply(Ifft(None, self.axis, self.norm), build.concat(x, others, axis=self.axis)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.COMPLEX, 2, 4))
        yield sample(typed(DType.COMPLEX, 2, 4), n=7)
        yield sample(typed(DType.COMPLEX, 4, 2, 3), axis=0, norm="ortho")
        yield sample(typed(DType.COMPLEX, 7), n=5, norm="forward")
        yield sample(typed(DType.COMPLEX, 3), n=9)
        yield sample(typed(DType.C64, 4), norm="ortho")
        yield sample(typed(DType.COMPLEX, 2, 1), n=1)
        yield sample(typed(DType.COMPLEX, 0, 3))
        yield sample([2, 3])
        yield sample(typed(DType.COMPLEX, 2, 1), error="E307")
        yield sample(typed(DType.COMPLEX, 3), n=0, error="E307")
        yield sample(typed(DType.BOOL, 3), error="E303")


class _OverPlane(Op, register=False):
    """A transform along two axes; `sizes` are the lengths along both."""

    sizes: tuple[Size, Size] | None = None
    axes: tuple[int, int] = (-2, -1)
    norm: Norm = "backward"

    def infer(self, x: TensorType) -> TensorType:
        checks.at_least(f"the operand of `{self.name}`", x, 2)
        checks.distinct(self.axes, x.rank)
        first, second = self._steps()
        found = first.infer(x)
        result = second.infer(found)
        assert isinstance(result, TensorType)
        return result

    def expand(self, x: Value) -> Value:
        first, second = self._steps()
        return apply(second, apply(first, x))

    def _steps(self) -> tuple[Op, Op]:
        """The transforms along the last axis, and then along the other."""
        raise NotImplementedError(f"{self.name} does not say which transforms it is made of: define `_steps`")

    def _along(self, kind: type[_Along], position: int) -> Op:
        return kind(None if self.sizes is None else self.sizes[position], self.axes[position], self.norm)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        dtype = DType.FLOAT if cls is Rfft2 else DType.COMPLEX
        yield sample(typed(dtype, 4, 3))
        yield sample(typed(dtype, 2, 3, 4), norm="ortho")
        yield sample(typed(dtype, 3, 2, 4), axes=(0, 2), norm="forward")
        yield sample(typed(dtype, 3, 4), sizes=(4, 5))
        yield sample(typed(dtype, 0, 3, 4))
        yield sample([2, 3])
        yield sample([3], error="E304")
        yield sample([2, 3], axes=(0, 0), error="E309")
        yield sample([2, 3], axes=(0, 2), error="E302")
        yield sample([2, 3], sizes=(0, 2), error="E307")


class Fft2(_OverPlane):
    """`fft` along both axes."""

    def _steps(self) -> tuple[Op, Op]:
        return self._along(Fft, 1), self._along(Fft, 0)


class Ifft2(_OverPlane):
    """`ifft` along both axes."""

    def _steps(self) -> tuple[Op, Op]:
        return self._along(Ifft, 1), self._along(Ifft, 0)


class Rfft2(_OverPlane):
    """`rfft` along the last of the axes, then `fft` along the other."""

    def _steps(self) -> tuple[Op, Op]:
        return self._along(Rfft, 1), self._along(Fft, 0)


class Irfft2(_OverPlane):
    """`ifft` along the first of the axes, then `irfft` along the other."""

    not_in_bf16 = HALF

    def _steps(self) -> tuple[Op, Op]:
        return self._along(Ifft, 0), self._along(Irfft, 1)


class Dct(Op):
    """The discrete cosine transform of type 2: `y[k] = 2 * sum over j of x[j] * cos(pi * k * (2 * j + 1) / (2 * n))`.

    With `ortho` it is a rotation: times `sqrt(1 / (4 * n))` for `k = 0`, else times `sqrt(1 / (2 * n))`.
    """

    not_in_bf16 = HALF

    axis: int = -1
    ortho: bool = False

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`dct`", x)
        checks.real("`dct`", x)
        checks.positive("the length of `dct`", (x.shape[normalize_axis(self.axis, x.rank)],))
        return x.with_dtype(checks.floating(x.dtype))

    def expand(self, x: Value) -> Value:
        axis = normalize_axis(self.axis, x.rank)
        n, dtype = x.shape[axis], checks.floating(x.dtype)
        mirrored = build.concat(x, build.flip(x, [axis]), axis=axis)
        y = _cut(apply(Fft(None, axis), mirrored), axis, 0, n)
        k = build.reshape(apply(Arange(n, dtype)), [n, *(1,) * (x.rank - 1 - axis)])
        turn = k * (math.pi / 2) / n
        found: Value = build.real(y) * apply(Cos(), turn) + build.imag(y) * apply(Sin(), turn)
        if not self.ortho:
            return found
        whole: Value = found * build.where(build.equal(k, 0), math.sqrt(0.25), math.sqrt(0.5)) / build.sqrt(k * 0 + n)
        return whole

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5])
        yield sample([4, 3], axis=0, ortho=True)
        yield sample([1])
        yield sample([0, 3])
        yield sample(np.array([1, 2, 3]))
        yield sample([2, 0], error="E307")
        yield sample([2], axis=1, error="E302")
        yield sample(typed(DType.C64, 2), error="E303")


def _spectrum(name: str, x: TensorType) -> TensorType:
    """The type of a transform, of the same shape. Raises E303, E304."""
    checks.numeric(f"`{name}`", x)
    checks.at_least(f"the operand of `{name}`", x, 1)
    dtype = checks.floating(x.dtype)
    return x.with_dtype(dtype if dtype.is_complex else complex_of(dtype))


def _resized(x: TensorType, axis: int, size: Size) -> TensorType:
    axis = normalize_axis(axis, x.rank)
    return x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :]))


def _complex(x: Value) -> Value:
    dtype = checks.floating(x.dtype)
    return x if dtype.is_complex else apply(Cast(complex_of(dtype)), x)


def _cut(x: Value, axis: int, start: Size, stop: Size) -> Value:
    """The elements from `start` to `stop` along an axis."""
    axis = normalize_axis(axis, x.rank)
    starts: list[Size] = [0] * x.rank
    stops = list(x.shape)
    starts[axis], stops[axis] = start, stop
    part: Value = build.slice(x, starts, stops, [1] * x.rank)
    return part


def _fitted(x: Value, axis: int, shape: Sequence[Size]) -> Value:
    """`x` cut along an axis, or filled up with zeros, to the size that `shape` has there."""
    axis = normalize_axis(axis, x.rank)
    size, wanted = x.shape[axis], shape[axis]
    if size == wanted:
        return x
    if not (isinstance(size, int) and isinstance(wanted, int) and size > wanted):
        missing = wanted - size if isinstance(size, int) and isinstance(wanted, int) else wanted
        x = build.pad(x, [[0, missing if i == axis else 0] for i in range(x.rank)])
    return _cut(x, axis, 0, wanted)
