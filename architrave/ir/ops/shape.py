"""Operators that rearrange elements: reshape, transpose, expand, flip, roll, triangles, and composites of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, normalize_axis, shape_text

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut


class Reshape(Op):
    """The same elements in row-major order in another shape; one size may be -1, for what is left over."""

    vanishes = "linear"

    shape: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(self._resolved(x))

    def reference(self, x: Array) -> Array:
        return x.reshape(tuple(map(known, self.shape)))

    def _resolved(self, x: TensorType) -> tuple[Size, ...]:
        unknown = [i for i, size in enumerate(self.shape) if size == -1]
        wanted = product(size for size in self.shape if size != -1)
        if any(isinstance(size, int) and size < -1 for size in self.shape) or len(unknown) > 1:
            raise error(
                "E306",
                f"{shape_text(self.shape)} is not a shape to reshape to",
                hint="sizes are at least 0, and one of them may be -1, for what is left over",
            )
        if not unknown:
            if wanted != x.size:
                raise self._misfit(x, wanted)
            return self.shape
        rest = divide(x.size, wanted)
        if rest is None:
            raise self._misfit(x, wanted)
        return tuple(rest if size == -1 else size for size in self.shape)

    def _misfit(self, x: TensorType, wanted: Size) -> Exception:
        message = f"{x} cannot be reshaped to {shape_text(self.shape)}: it has {x.size} elements, "
        exact = isinstance(x.size, int) and isinstance(wanted, int)
        if wanted == 0:
            return error("E306", message + "and a size of 0 leaves -1 open", hint="write the size in place of -1")
        if -1 not in self.shape:
            reason = f"not {wanted}" if exact else f"which is not known to be {wanted}"
            return error("E306", message + reason)
        reason = f"which {wanted} does not divide" if exact else f"which {wanted} is not known to divide"
        return error("E306", message + reason)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(Reshape(operands[0].shape), cotangents[0]),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (relations.reshaped(x, relations.results[0].shape),)

    def cut(self, cut: Cut) -> Reshape:
        return Reshape(cut.results[0].shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], shape=(6, 4))
        yield sample([2, 3, 4], shape=(2, -1))
        yield sample([1], shape=())
        yield sample([], shape=(1, 1))
        yield sample([0, 3], shape=(3, 0))
        yield sample([0, 3], shape=(-1, 3))
        yield sample(typed(DType.BOOL, 2, 3), shape=(3, 2))
        yield sample([2, 3], shape=(4, 2), error="E306")
        yield sample([2, 3], shape=(4, -1), error="E306")
        yield sample([2, 3], shape=(-1, -1), error="E306")
        yield sample([0, 3], shape=(0, -1), error="E306")


class Transpose(Op):
    """Axis `i` of the result is axis `axes[i]` of `x`."""

    vanishes = "linear"

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        axes = checks.distinct(self.axes, x.rank)
        if len(axes) != x.rank:
            raise error("E309", f"`transpose` needs each axis of {x} once, not {list(self.axes)}")
        return x.with_shape([x.shape[axis] for axis in axes])

    def reference(self, x: Array) -> Array:
        return np.transpose(x, self.axes)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        axes = checks.distinct(self.axes, operands[0].rank)
        return (apply(Transpose(tuple(axes.index(i) for i in range(len(axes)))), cotangents[0]),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (tuple(x[axis] for axis in self.axes),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], axes=(2, 0, 1))
        yield sample([2, 3, 4], axes=(0, -1, 1))
        yield sample([], axes=())
        yield sample([0, 3], axes=(1, 0))
        yield sample(typed(DType.I64, 2, 1), axes=(1, 0))
        yield sample([2, 3], axes=(0,), error="E309")
        yield sample([2, 3], axes=(0, 0), error="E309")
        yield sample([2, 3], axes=(0, 2), error="E302")


class Expand(Op):
    """`x` broadcast to `shape`."""

    vanishes = "linear"

    shape: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        if broadcast(x.shape, self.shape) != self.shape:
            raise error(
                "E301", f"{x} does not expand to {shape_text(self.shape)}", hint="only axes of size 1 can be widened"
            )
        return x.with_shape(self.shape)

    def reference(self, x: Array) -> Array:
        return np.broadcast_to(x, tuple(map(known, self.shape)))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (relations.broadcast(x, relations.new()),)

    def cut(self, cut: Cut) -> Expand:
        return Expand(cut.results[0].shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 1], shape=(2, 3))
        yield sample([3], shape=(4, 2, 3))
        yield sample([], shape=(2, 2))
        yield sample([1, 3], shape=(0, 3))
        yield sample(typed(DType.BOOL, 1), shape=(1,))
        yield sample([2, 3], shape=(3,), error="E301")
        yield sample([2, 3], shape=(4, 3), error="E301")


class Flip(Op):
    """`x` backwards along `axes`."""

    vanishes = "linear"

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        checks.distinct(self.axes, x.rank)
        return x

    def reference(self, x: Array) -> Array:
        return np.flip(x, self.axes)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(self, cotangents[0]),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed(x[axis] for axis in self.axes)
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], axes=(0, -1))
        yield sample([0, 1], axes=(1,))
        yield sample([2, 3], axes=())
        yield sample([2, 3], axes=(0, 0), error="E309")


class Roll(Op):
    """`x` moved by `shifts[i]` along `axes[i]`; what leaves at the end comes in at the start."""

    shifts: tuple[Size, ...]
    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        checks.distinct(self.axes, x.rank)
        if len(self.shifts) != len(self.axes):
            raise error("E307", f"`roll` has {len(self.shifts)} shifts for {len(self.axes)} axes")
        return x

    def reference(self, x: Array) -> Array:
        return np.roll(x, tuple(map(known, self.shifts)), self.axes)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(Roll(tuple(-shift for shift in self.shifts), self.axes), cotangents[0]),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed(x[axis] for axis in self.axes)
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([5, 3], shifts=(2,), axes=(0,))
        yield sample([5, 3], shifts=(-7, 1), axes=(0, -1))
        yield sample([0, 3], shifts=(1,), axes=(0,))
        yield sample([5], shifts=(1, 2), axes=(0,), error="E307")
        yield sample([5], shifts=(1,), axes=(1,), error="E302")


class RepeatInterleave(Op):
    """Each slice along an axis `count` times, one after the other."""

    count: Size
    axis: int

    def infer(self, x: TensorType) -> TensorType:
        axis = normalize_axis(self.axis, x.rank)
        checks.not_negative("the count of `repeat_interleave`", (self.count,))
        return x.with_shape((*x.shape[:axis], x.shape[axis] * self.count, *x.shape[axis + 1 :]))

    def expand(self, x: Value) -> Value:
        before = normalize_axis(self.axis, x.rank) + 1
        apart = apply(Reshape((*x.shape[:before], 1, *x.shape[before:])), x)
        repeated = apply(Expand((*x.shape[:before], self.count, *x.shape[before:])), apart)
        return apply(Reshape(self.infer(x.type).shape), repeated)

    def cut(self, cut: Cut) -> RepeatInterleave:
        axis = normalize_axis(self.axis, cut.operands[0].before.rank)
        count = divide(cut.results[0].shape[axis], cut.operands[0].shape[axis])
        return RepeatInterleave(self.count if count is None else count, self.axis)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], count=2, axis=1)
        yield sample([2, 1, 3], count=3, axis=-3)
        yield sample(typed(DType.I64, 3), count=1, axis=0)
        yield sample([2, 3], count=0, axis=0)
        yield sample([0, 3], count=2, axis=0)
        yield sample([2], count=-1, axis=0, error="E307")
        yield sample([], count=2, axis=0, error="E302")


class _Triangle(Op, register=False):
    """Of the last two axes; the other elements are 0, or false. Diagonal `k` lies `k` above the main one."""

    k: int = 0

    def infer(self, x: TensorType) -> TensorType:
        checks.at_least(f"`{self.name}`", x, 2)
        return x

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (apply(self, cotangents[0]),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed(x[-2:])
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([4, 4])
        yield sample([2, 3, 5], k=1)
        yield sample([5, 3], k=-1)
        yield sample([0, 3])
        yield sample(np.ones((3, 3), dtype=bool))
        yield sample([3], error="E304")


class Tril(_Triangle):
    """The elements on diagonal `k` and below it."""

    def reference(self, x: Array) -> Array:
        return np.tril(x, self.k)


class Triu(_Triangle):
    """The elements on diagonal `k` and above it."""

    def reference(self, x: Array) -> Array:
        return np.triu(x, self.k)


class Unsqueeze(Op):
    """`x` with new axes of size 1; `axes` says where they are in the result."""

    axes: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        rank = x.rank + len(self.axes)
        new = checks.axis_set(self.axes, rank)
        old = iter(x.shape)
        return x.with_shape([1 if axis in new else next(old) for axis in range(rank)])

    def expand(self, x: Value) -> Value:
        return apply(Reshape(self.infer(x.type).shape), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], axes=(0,))
        yield sample([2, 3], axes=(1, -1))
        yield sample([], axes=(0,))
        yield sample([0], axes=(1,))
        yield sample([2], axes=(0, 0), error="E309")
        yield sample([2], axes=(3,), error="E302")


class Squeeze(Op):
    """`x` without `axes`, which have size 1; without any axis of size 1 for None."""

    axes: tuple[int, ...] | None = None

    def infer(self, x: TensorType) -> TensorType:
        ones = [axis for axis, size in enumerate(x.shape) if size == 1]
        gone = ones if self.axes is None else checks.axis_set(self.axes, x.rank)
        wide = next((axis for axis in gone if axis not in ones), None)
        if wide is not None:
            raise error("E305", f"axis {wide} of {x} has size {x.shape[wide]}, and only size 1 can be squeezed")
        return x.with_shape([size for axis, size in enumerate(x.shape) if axis not in gone])

    def expand(self, x: Value) -> Value:
        return apply(Reshape(self.infer(x.type).shape), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([1, 3, 1])
        yield sample([1, 3, 1], axes=(-1,))
        yield sample([1, 0], axes=(0,))
        yield sample([1, 3], axes=())
        yield sample([2, 3], axes=(0,), error="E305")
        yield sample([1], axes=(1,), error="E302")


class Flatten(Op):
    """The axes from `start` to `stop`, both included, as one."""

    start: int = 1
    stop: int = -1

    def infer(self, x: TensorType) -> TensorType:
        start, stop = normalize_axis(self.start, x.rank), normalize_axis(self.stop, x.rank)
        if start > stop:
            raise error("E302", f"`flatten` goes from axis {start} to axis {stop} of {x}, which is before it")
        return x.with_shape([*x.shape[:start], product(x.shape[start : stop + 1]), *x.shape[stop + 1 :]])

    def expand(self, x: Value) -> Value:
        return apply(Reshape(self.infer(x.type).shape), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4])
        yield sample([2, 3, 4], start=0)
        yield sample([2, 3, 4, 5], start=1, stop=-2)
        yield sample([0, 3, 4])
        yield sample([3], error="E302")
        yield sample([2, 3, 4], start=2, stop=1, error="E302")
