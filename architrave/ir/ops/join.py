"""Operators that join, cut and pad along axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Literal

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.axes.axis import Axes, Axis
from architrave.ir.dims import Size, ceil_div
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.leaves import Arange, Full
from architrave.ir.ops.shape import Flip, Reshape, Unsqueeze
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis, promote

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut, Rest

_PADDING: dict[str, Literal["reflect", "edge", "wrap"]] = {
    "reflect": "reflect",
    "edge": "edge",
    "replicate": "edge",
    "wrap": "wrap",
    "circular": "wrap",
}


class Concat(Op):
    """Tensors one after the other along an axis; their dtypes promote."""

    vanishes = "linear"

    axis: int

    def infer(self, *xs: TensorType) -> TensorType:
        if not xs:
            raise error("E304", "`concat` needs at least one tensor")
        first = xs[0]
        axis = normalize_axis(self.axis, first.rank)
        for position, x in enumerate(xs[1:], 1):
            _check_joins(first, x, axis, position)
        length = sum((x.shape[axis] for x in xs[1:]), start=first.shape[axis])
        dtype = reduce(promote, (x.dtype for x in xs))
        return TensorType(dtype, (*first.shape[:axis], length, *first.shape[axis + 1 :]))

    def reference(self, *xs: Array) -> Array:
        return np.concatenate(xs, self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        axis = normalize_axis(self.axis, operands[0].rank)
        parts: list[Value] = []
        start: Size = 0
        for x in operands:
            starts = tuple(start if i == axis else 0 for i in range(x.rank))
            stops = tuple(begin + size for begin, size in zip(starts, x.shape, strict=True))
            parts.append(apply(Slice(starts, stops, (1,) * x.rank), cotangents[0]))
            start = start + x.shape[axis]
        return parts

    def relate(self, relations: Relations, *xs: Axes) -> Related:
        axis = normalize_axis(self.axis, len(xs[0]))
        others = relations.broadcast(*(x[:axis] + x[axis + 1 :] for x in xs))
        whole = relations.joined(x[axis] for x in xs)
        return ((*others[:axis], whole, *others[axis:]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 1], axis=1)
        yield sample([2, 3], [0, 3], [1, 3], axis=0)
        yield sample([2, 3, 4], axis=-1)
        yield sample(typed(DType.I32, 2), typed(DType.I64, 1), axis=0)
        yield sample([2, 3], [2, 3, 1], axis=0, error="E304")
        yield sample([2, 3], [3, 3], axis=1, error="E305")
        yield sample([2, 3], axis=2, error="E302")
        yield sample(axis=0, error="E304")


class Stack(Op):
    """Tensors of one shape along a new axis."""

    axis: int = 0

    def infer(self, *xs: TensorType) -> TensorType:
        if not xs:
            raise error("E304", "`stack` needs at least one tensor")
        axis = normalize_axis(self.axis, xs[0].rank + 1)
        for position, x in enumerate(xs[1:], 1):
            _check_joins(xs[0], x, None, position)
        shape = xs[0].shape
        return TensorType(reduce(promote, (x.dtype for x in xs)), (*shape[:axis], len(xs), *shape[axis:]))

    def expand(self, *xs: Value) -> Value:
        axis = normalize_axis(self.axis, xs[0].rank + 1)
        return apply(Concat(axis), *(apply(Unsqueeze((axis,)), x) for x in xs))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3])
        yield sample([2, 3], [2, 3], [2, 3], axis=-1)
        yield sample([], [], axis=0)
        yield sample([0, 3], axis=1)
        yield sample([2, 3], [2, 4], error="E305")
        yield sample([2, 3], [2], error="E304")
        yield sample([2], [2], axis=2, error="E302")


class Slice(Op):
    """Every `steps[i]`-th element of axis `i` from `starts[i]` up to, not including, `stops[i]`.

    A step is negative to go backwards; then a stop of -1 lies before the first element.
    """

    vanishes = "linear"

    starts: tuple[Size, ...]
    stops: tuple[Size, ...]
    steps: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        for name in ("starts", "stops", "steps"):
            checks.per_axis(f"`slice` {name}", getattr(self, name), x.rank)
        return x.with_shape([self._length(axis, size) for axis, size in enumerate(x.shape)])

    def reference(self, x: Array) -> Array:
        # A stop of -1 would count from the end.
        stops = (None if stop == -1 else stop for stop in self.stops)
        return x[tuple(map(slice, self.starts, stops, self.steps))]

    def _length(self, axis: int, size: Size) -> Size:
        start, stop, step = self.starts[axis], self.stops[axis], self.steps[axis]
        if step == 0:
            raise error("E307", "a slice cannot have a step of 0")
        low, high = (start, stop) if step > 0 else (stop, start)
        bottom = 0 if step > 0 else -1
        inside = not isinstance(low, int) or low >= bottom
        if isinstance(size, int) and isinstance(high, int):
            inside = inside and high <= size + bottom
        if not inside:
            raise error("E307", f"a slice from {start} to {stop} leaves axis {axis}, which has {size} elements")
        length = ceil_div(high - low, abs(step))
        return max(length, 0) if isinstance(length, int) else length

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        for axis in range(x.rank):
            g = self._spread(g, axis, x.shape[axis])
        return (g,)

    def _spread(self, g: Value, axis: int, size: Size) -> Value:
        """The elements back at their places along one axis, zeros between and around them."""
        start, step = self.starts[axis], self.steps[axis]
        count = g.shape[axis]
        if count == 0:
            return apply(Full(0.0, (*g.shape[:axis], size, *g.shape[axis + 1 :]), g.dtype))
        first, last = (start, start + (count - 1) * step)[:: 1 if step > 0 else -1]
        g = g if step > 0 else apply(Flip((axis,)), g)
        g = _apart(g, axis, abs(step))
        if (first, last) == (0, size - 1):
            return g
        widths = tuple((first, size - 1 - last) if i == axis else (0, 0) for i in range(g.rank))
        return apply(Pad(widths), g)

    def relate(self, relations: Relations, x: Axes) -> Related:
        ranges = zip(x, self.starts, self.stops, self.steps, strict=True)
        return (tuple(self._part(relations, i, *each) for i, each in enumerate(ranges)),)

    def _part(self, relations: Relations, i: int, axis: Axis, start: Size, stop: Size, step: int) -> Axis:
        if step == 1:
            return relations.part(axis, start, stop)
        rest = relations.new()[i]
        relations.fixed((axis, rest))
        return rest

    def cut(self, cut: Cut) -> Slice:
        x = cut.operands[0]
        whole = [kept is None for kept in x.kept]
        starts = tuple(
            s if w else x.count(i, 0, known(s)) for i, (s, w) in enumerate(zip(self.starts, whole, strict=True))
        )
        lengths = cut.results[0].shape
        stops = (s if w else first + n for s, w, first, n in zip(self.stops, whole, starts, lengths, strict=True))
        return Slice(starts, tuple(stops), self.steps)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([5, 4], starts=(1, 0), stops=(4, 4), steps=(1, 1))
        yield sample([5, 4], starts=(0, 1), stops=(5, 4), steps=(2, 3))
        yield sample([5], starts=(4,), stops=(-1,), steps=(-1,))
        yield sample([5], starts=(4,), stops=(0,), steps=(-2,))
        yield sample([5], starts=(2,), stops=(2,), steps=(1,))
        yield sample([0, 3], starts=(0, 0), stops=(0, 3), steps=(1, 1))
        yield sample([], starts=(), stops=(), steps=())
        yield sample([5], starts=(0,), stops=(6,), steps=(1,), error="E307")
        yield sample([5], starts=(0,), stops=(5,), steps=(0,), error="E307")
        yield sample([5, 4], starts=(0,), stops=(5,), steps=(1,), error="E307")


class Pad(Op):
    """`x` with `widths[i]` = (before, after) elements added along axis `i`.

    "constant" adds `value`, "edge" repeats the outermost element, "reflect" mirrors without repeating it
    (`c b | a b c | b a`), "wrap" goes on from the other end (`b c | a b c | a b`). "replicate" and "circular" are
    PyTorch's names of "edge" and "wrap".
    """

    widths: tuple[tuple[Size, Size], ...]
    mode: Literal["constant", "reflect", "edge", "wrap", "replicate", "circular"] = "constant"
    value: float | int | bool = 0.0

    def __post_init__(self) -> None:
        # One name for each: nothing else knows the other.
        object.__setattr__(self, "mode", _PADDING.get(self.mode, self.mode))

    def infer(self, x: TensorType) -> TensorType:
        checks.per_axis("`pad` widths", self.widths, x.rank)
        if x.dtype.is_integer and self.mode == "constant" and not float(self.value).is_integer():
            raise error("E303", f"{x} cannot be padded with {self.value}, which is not an integer")
        sizes = [self._padded(axis, size, *self.widths[axis]) for axis, size in enumerate(x.shape)]
        return x.with_shape(sizes)

    def reference(self, x: Array) -> Array:
        if x.ndim == 0:
            return x
        widths = [(known(before), known(after)) for before, after in self.widths]
        if self.mode == "constant":
            return np.pad(x, widths, constant_values=self.value)
        return np.pad(x, widths, mode=_PADDING[self.mode])

    def _padded(self, axis: int, size: Size, before: Size, after: Size) -> Size:
        available = {"constant": None, "reflect": size - 1, "edge": None, "wrap": size}[self.mode]
        if self.mode == "edge" and size == 0 and (before, after) != (0, 0):
            available = 0
        for width in (before, after):
            if isinstance(width, int) and width < 0:
                raise error("E307", f"a padding must be at least 0, not {width}", hint="a slice makes an axis shorter")
            if isinstance(width, int) and width and isinstance(available, int) and width > available:
                raise error(
                    "E307",
                    f'"{self.mode}" can pad axis {axis} of size {size} by at most {max(available, 0)}, not {width}',
                )
        return before + size + after

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        if self.mode != "constant":
            return (_folded(g, x, self),)
        starts = tuple(before for before, _ in self.widths)
        stops = tuple(before + size for before, size in zip(starts, x.shape, strict=True))
        return (apply(Slice(starts, stops, (1,) * x.rank), g),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (tuple(self._padded_axis(relations, axis, *width) for axis, width in zip(x, self.widths, strict=True)),)

    def _padded_axis(self, relations: Relations, axis: Axis, before: Size, after: Size) -> Axis:
        if (before, after) == (0, 0):
            return axis
        if self.mode == "constant":
            return relations.joined((Axis(before), axis, Axis(after)))
        whole = Axis(before + axis.size + after)
        relations.fixed((axis, whole))
        return whole

    def cut(self, cut: Cut) -> Pad:
        return dataclasses.replace(
            self, widths=tuple(_kept_width(cut.results[0], i, w) for i, w in enumerate(self.widths))
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], widths=((1, 0), (0, 2)))
        yield sample([2, 3], widths=((1, 1), (2, 0)), value=-1.5)
        yield sample([3, 4], widths=((2, 1), (0, 3)), mode="reflect")
        yield sample([3, 1], widths=((1, 4), (2, 2)), mode="edge")
        yield sample([3, 4], widths=((3, 1), (0, 2)), mode="wrap")
        yield sample([3, 1], widths=((1, 4), (2, 2)), mode="replicate")
        yield sample([2, 3], widths=((2, 0), (1, 3)), mode="circular")
        yield sample([0, 3], widths=((1, 1), (0, 1)))
        yield sample(typed(DType.I64, 3), widths=((1, 1),), value=7)
        yield sample(typed(DType.BOOL, 3), widths=((1, 1),), value=True)
        yield sample([], widths=())
        yield sample([3], widths=((3, 0),), mode="reflect", error="E307")
        yield sample([3], widths=((0, 4),), mode="wrap", error="E307")
        yield sample([3], widths=((-1, 0),), error="E307")
        yield sample([3, 3], widths=((1, 0),), error="E307")
        yield sample(typed(DType.I64, 3), widths=((1, 1),), value=0.5, error="E303")


def _check_joins(first: TensorType, x: TensorType, axis: int | None, position: int) -> None:
    """Raises E304, E305 where tensors cannot stand side by side along `axis`."""
    if x.rank != first.rank:
        raise error("E304", f"tensors to join have one rank, but tensor 0 is {first} and tensor {position} is {x}")
    for other, (a, b) in enumerate(zip(first.shape, x.shape, strict=True)):
        if other != axis:
            checks.same(f"the sizes of axis {other}", a, f"tensor 0, {first}", b, f"tensor {position}, {x}")


def _kept_width(y: Rest, axis: int, width: tuple[Size, Size]) -> tuple[Size, Size]:
    """How much of the padding of an axis of the result `y` is left."""
    size = y.before.shape[axis]
    if y.kept[axis] is None or not isinstance(size, int):
        return width
    before, after = map(known, width)
    return y.count(axis, 0, before), y.count(axis, size - after, size)


def _apart(g: Value, axis: int, step: int) -> Value:
    """The elements along an axis `step` apart, with zeros between them."""
    if step == 1:
        return g
    count, rest = g.shape[axis], (0, 0)
    wide = apply(Reshape((*g.shape[: axis + 1], 1, *g.shape[axis + 1 :])), g)
    wide = apply(Pad(tuple((0, step - 1) if i == axis + 1 else rest for i in range(wide.rank))), wide)
    flat = apply(Reshape((*g.shape[:axis], count * step, *g.shape[axis + 1 :])), wide)
    stops = tuple((count - 1) * step + 1 if i == axis else size for i, size in enumerate(flat.shape))
    return apply(Slice((0,) * g.rank, stops, (1,) * g.rank), flat)


def _folded(g: Value, x: Value, pad: Pad) -> Value:
    """Each element with what came to its copies, along one axis after the other."""
    for axis, (before, after) in enumerate(pad.widths):
        if (before, after) == (0, 0):
            continue
        size = x.shape[axis]
        # Which element stands at each place: its own number, moved, mirrored or held at the edge.
        places = apply(Arange(before + size + after)) - before
        if pad.mode == "edge":
            places = build.minimum(build.maximum(places, 0), size - 1)
        elif pad.mode == "wrap":
            places = places % size
        else:
            places = (size - 1) - build.abs((size - 1) - build.abs(places))
        order = (axis, *(i for i in range(g.rank) if i != axis))
        rows = build.segment_sum(build.transpose(g, order), places, count=size)
        g = build.transpose(rows, tuple(order.index(i) for i in range(g.rank)))
    return g
