"""Reductions along axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.axes.axis import Axes, Axis
from architrave.ir.dims import product
from architrave.ir.graph import Graph, Value, apply, make
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.control import Scan
from architrave.ir.ops.leaves import Input
from architrave.ir.types import DType, TensorType, normalize_axis

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations


class _Reduction(Op, register=False):
    """Over `axes`, all of them for None; with `keep` these stay as axes of size 1."""

    axes: tuple[int, ...] | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        return reduced(x, self.axes, self.keep)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (kept_axes(relations, x, self.axes, self.keep, f"takes a {self.name} over it"),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([])
        yield sample([2, 3, 4], axes=(0, -1))
        yield sample([2, 3, 4], axes=(1,), keep=True)
        yield sample([2, 1], axes=(1,))
        yield sample([2, 3], axes=())
        yield sample([0, 3], axes=(1,))
        yield sample([2, 3], axes=(2,), error="E302")
        yield sample([2, 3], axes=(1, -1), error="E309")


class _Total(_Reduction, register=False):
    """Of integers and truth values an i64."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(checks.total(x.dtype))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 0], axes=(1,))
        yield sample(typed(DType.I32, 2, 3), axes=(0,))
        yield sample(typed(DType.BOOL, 2, 3), axes=(1,))


class Sum(_Total):
    """The sum; 0 of nothing."""

    def reference(self, x: Array) -> Array:
        return np.sum(counted(x), axis=self.axes, keepdims=self.keep)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (restored(cotangents[0], operands[0], self.axes),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        gone = checks.axis_set(self.axes, len(x))
        for axis in gone:
            relations.summed(x[axis], 0)
        return (kept_axes(relations, x, gone, self.keep),)


class Prod(_Total):
    """The product; 1 of nothing."""

    def infer(self, x: TensorType) -> TensorType:
        checks.real("`prod`", x)
        return super().infer(x)

    def reference(self, x: Array) -> Array:
        return np.asarray(np.prod(counted(x), axis=self.axes, keepdims=self.keep))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), g = operands, restored(cotangents[0], operands[0], self.axes)
        return (g * _product_of_others(x, checks.axis_set(self.axes, x.rank)),)


class _Extremum(_Reduction, register=False):
    """NaN where an element is NaN. There is none of nothing."""

    def infer(self, x: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", x)
        checks.not_empty(f"`{self.name}`", x, checks.axis_set(self.axes, x.rank))
        return super().infer(x)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,) = operands
        y, g = (restored(v, x, self.axes) for v in (results[0], cotangents[0]))
        chosen = build.equal(x, y)
        count = build.sum(build.cast(chosen, g.dtype), axes=self.axes, keep=True)
        return (build.where(chosen, g / build.maximum(count, 1), 0.0),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(typed(DType.I32, 2, 3), axes=(0,))
        yield sample(np.array([[1.0, np.nan, 3.0], [-np.inf, 0.0, np.inf]]), axes=(1,))
        yield sample([3, 0], axes=(1,), error="E310")
        yield sample([0], error="E310")


class Max(_Extremum):
    """The largest element."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.max(x, axis=self.axes, keepdims=self.keep))


class Min(_Extremum):
    """The smallest element."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.min(x, axis=self.axes, keepdims=self.keep))


class _Quantifier(_Reduction, register=False):
    """Of truth values."""

    def infer(self, x: TensorType) -> TensorType:
        checks.boolean(f"the operand of `{self.name}`", x)
        return super().infer(x)

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.BOOL, 2, 3))
        yield sample(typed(DType.BOOL, 2, 3, 4), axes=(0, -1), keep=True)
        yield sample(typed(DType.BOOL, 3, 0), axes=(1,))
        yield sample(np.array([[True, True], [False, False]]), axes=(1,))
        yield sample([2, 3], error="E303")
        yield sample(typed(DType.BOOL, 2), axes=(1,), error="E302")


class Any(_Quantifier):
    """Whether some element is true; false of nothing."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.any(x, axis=self.axes, keepdims=self.keep))


class All(_Quantifier):
    """Whether every element is true; true of nothing."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.all(x, axis=self.axes, keepdims=self.keep))


class _Position(Op, register=False):
    """The place of an extremum along an axis, of the first of equals and of the first NaN; an i64.

    Without an axis it is the place in the flattened tensor.
    """

    axis: int | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        axes = None if self.axis is None else (self.axis,)
        checks.real(f"`{self.name}`", x)
        checks.not_empty(f"`{self.name}`", x, checks.axis_set(axes, x.rank))
        return reduced(x, axes, self.keep).with_dtype(DType.I64)

    gradient = without_gradient

    def relate(self, relations: Relations, x: Axes) -> Related:
        axes = None if self.axis is None else (self.axis,)
        relations.fixed((x[i] for i in checks.axis_set(axes, len(x))), "gives a place along it")
        return (kept_axes(relations, x, axes, self.keep),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([2, 3, 4], axis=1)
        yield sample([2, 3, 4], axis=-1, keep=True)
        yield sample([2, 3], keep=True)
        yield sample([])
        yield sample(np.array([[1.0, 3.0, 3.0, 1.0], [2.0, np.nan, 0.0, np.nan]]), axis=1)
        yield sample(np.array([2, 2, 1, 1]), axis=0)
        yield sample([0, 3], axis=1)
        yield sample([3, 0], axis=1, error="E310")
        yield sample([2, 3], axis=2, error="E302")


class Argmax(_Position):
    """Where the largest element is."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.argmax(x, axis=self.axis, keepdims=self.keep))


class Argmin(_Position):
    """Where the smallest element is."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.argmin(x, axis=self.axis, keepdims=self.keep))


class _Running(Op, register=False):
    """Over what comes before along an axis, and the element itself; of integers and truth values an i64."""

    axis: int

    def infer(self, x: TensorType) -> TensorType:
        normalize_axis(self.axis, x.rank)
        return x.with_dtype(checks.total(x.dtype))

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed((x[self.axis],))
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], axis=1)
        yield sample([5], axis=-1)
        yield sample([2, 0], axis=1)
        yield sample([1, 3], axis=0)
        yield sample(typed(DType.I32, 2, 3), axis=0)
        yield sample(typed(DType.BOOL, 4), axis=0)
        yield sample([], axis=0, error="E302")


class Cumsum(_Running):
    """Running sums."""

    def reference(self, x: Array) -> Array:
        return np.cumsum(counted(x), axis=self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (build.flip(apply(self, build.flip(cotangents[0], [self.axis])), [self.axis]),)


class Cumprod(_Running):
    """Running products."""

    def infer(self, x: TensorType) -> TensorType:
        checks.real("`cumprod`", x)
        return super().infer(x)

    def reference(self, x: Array) -> Array:
        return np.cumprod(counted(x), axis=self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        # `s[i] = g[i] + x[i + 1] * s[i + 1]` gathers what comes after, without dividing by what may be 0.
        (x,), (g,) = operands, cotangents
        axis = normalize_axis(self.axis, x.rank)
        return (_before(x, axis) * _gathered(g, x, axis),)


def reduced(x: TensorType, axes: tuple[int, ...] | None, keep: bool) -> TensorType:
    """`x` without `axes`, or with size 1 there."""
    gone = set(checks.axis_set(axes, x.rank))
    if keep:
        return x.with_shape([1 if i in gone else size for i, size in enumerate(x.shape)])
    return x.with_shape([size for i, size in enumerate(x.shape) if i not in gone])


def kept_axes(relations: Relations, x: Axes, axes: tuple[int, ...] | None, keep: bool, why: str | None = None) -> Axes:
    """The axes of `reduced(x, axes, keep)`; with `why` those which are reduced may not be cut."""
    gone = checks.axis_set(axes, len(x))
    for axis in gone if why else ():
        relations.whole(x[axis], why or "")
    if keep:
        return tuple(Axis(1) if i in gone else axis for i, axis in enumerate(x))
    return tuple(axis for i, axis in enumerate(x) if i not in gone)


def counted(x: Array) -> Array:
    """Integers and truth values as i64, so that their totals are."""
    return x if x.dtype.kind in "fc" else x.astype(np.int64)


def restored(y: Value, x: Value, axes: tuple[int, ...] | None) -> Value:
    """A reduction of `x` with size 1 where an axis was reduced, so that it broadcasts against `x`."""
    shape = reduced(x.type, axes, keep=True).shape
    return y if y.shape == shape else build.reshape(y, shape)


def _product_of_others(x: Value, axes: tuple[int, ...]) -> Value:
    """For each element the product of all others over `axes`, which may hold zeros."""
    order = [*(i for i in range(x.rank) if i not in axes), *axes]
    moved = build.transpose(x, order)
    count = product(x.shape[axis] for axis in axes)
    flat = build.reshape(moved, [*moved.shape[: x.rank - len(axes)], count])
    last = flat.rank - 1
    after = build.flip(_before(build.flip(flat, [last]), last), [last])
    others = build.reshape(_before(flat, last) * after, moved.shape)
    back: Value = build.transpose(others, [order.index(i) for i in range(x.rank)])
    return back


def _before(x: Value, axis: int) -> Value:
    """The product of the elements before each along an axis; 1 for the first."""
    widths = [[1, 0] if i == axis else [0, 0] for i in range(x.rank)]
    shifted = build.pad(x, widths, value=1)
    running: Value = build.cumprod(build.slice(shifted, [0] * x.rank, x.shape, [1] * x.rank), axis)
    return running


def _gathered(g: Value, x: Value, axis: int) -> Value:
    """`s[i] = g[i] + x[i + 1] * s[i + 1]` along an axis."""
    row = x.type.with_shape((*x.shape[:axis], *x.shape[axis + 1 :]))
    carried, here, factor = (make(Input(name, row), ()).outputs[0] for name in ("carried", "g", "x"))
    total = here + carried
    body = Graph("gathered", (carried, here, factor), (factor * total, total))
    loop = Scan(body, carries=1, sequences=2, length=x.shape[axis], axis=axis, reverse=True)
    return make(loop, (build.expand(build.full(value=0.0, shape=[], dtype=x.dtype), row.shape), g, x)).outputs[1]
