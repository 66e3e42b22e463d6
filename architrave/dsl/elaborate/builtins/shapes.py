"""Functions that move, cut and join elements."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.making import to_shape
from architrave.dsl.elaborate.builtins.registry import BUILTINS, axis_list, builtin, one_axis, tensor, tensor_list
from architrave.dsl.elaborate.conversions import listed, to_int, to_list, to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.kinds import is_list
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir.dims import Size, divide
from architrave.ir.graph import Value
from architrave.ir.source import Span, error
from architrave.ir.types import normalize_axis


@builtin("reshape")
def _reshape(frame: Frame, span: Span, x: Any, shape: Any) -> Value:
    sizes = tuple(to_size(s, span) for s in to_list(shape, span, "a shape"))
    return apply_op("reshape", tensor(x, span, "reshape"), shape=sizes)


@builtin("transpose")
def _transpose(frame: Frame, span: Span, x: Any, axes: Any = None) -> Value:
    x = tensor(x, span, "transpose")
    order = axis_list(axes, x, span) if axes is not None else tuple(reversed(range(x.rank)))
    return apply_op("transpose", x, axes=order)


@builtin("flatten")
def _flatten(frame: Frame, span: Span, x: Any, start: int = 1, stop: int = -1) -> Value:
    x = tensor(x, span, "flatten")
    return apply_op("flatten", x, start=one_axis(start, x, span), stop=one_axis(stop, x, span))


@builtin("squeeze")
def _squeeze(frame: Frame, span: Span, x: Any, axis: Any = None) -> Value:
    x = tensor(x, span, "squeeze")
    axes = axis_list(axis, x, span)
    return apply_op("squeeze", x, axes=tuple(i for i, s in enumerate(x.shape) if s == 1) if axes is None else axes)


@builtin("unsqueeze")
def _unsqueeze(frame: Frame, span: Span, x: Any, axis: Any) -> Value:
    x = tensor(x, span, "unsqueeze")
    given = listed(axis, span)
    rank = x.rank + len(given)
    axes = tuple(sorted(normalize_axis(to_int(a, span, "an axis"), rank) for a in given))
    return apply_op("unsqueeze", x, axes=axes)


@builtin("expand")
def _expand(frame: Frame, span: Span, x: Any, shape: Any) -> Value:
    """Broadcast to `shape`; -1 keeps a size."""
    x = tensor(x, span, "expand")
    sizes = [to_size(s, span) for s in to_list(shape, span, "a shape")]
    offset = len(sizes) - x.rank
    kept = [x.shape[i - offset] if s == -1 and i >= offset else s for i, s in enumerate(sizes)]
    return apply_op("expand", x, shape=to_shape(kept, span))


@builtin("concat")
def _concat(frame: Frame, span: Span, items: Any, axis: int = 0) -> Value:
    tensors = tensor_list(items, span, "concat")
    return tensors[0] if len(tensors) == 1 else apply_op("concat", *tensors, axis=one_axis(axis, tensors[0], span))


@builtin("stack")
def _stack(frame: Frame, span: Span, items: Any, axis: int = 0) -> Value:
    tensors = tensor_list(items, span, "stack")
    return apply_op("stack", *tensors, axis=normalize_axis(to_int(axis, span, "an axis"), tensors[0].rank + 1))


@builtin("split")
def _split(frame: Frame, span: Span, x: Any, parts: Any, axis: int = 0) -> tuple[Value, ...]:
    """Equal parts by their number, or parts of the sizes in a list."""
    x = tensor(x, span, "split")
    dimension = one_axis(axis, x, span)
    size = x.shape[dimension]
    if is_list(parts):
        sizes = list(to_shape(parts, span))
        if sum(sizes) - size != 0:
            raise error(
                "E245", f"parts of {', '.join(map(str, sizes))} do not make up axis {dimension} of {x.type}", span
            )
    else:
        count = to_int(parts, span, "the number of parts")
        each = divide(size, count) if count > 0 else None
        if each is None:
            raise error("E245", f"axis {dimension} of {x.type} does not split into {count} equal parts", span)
        sizes = [each] * count
    return _parts(x, sizes, dimension)


def _parts(x: Value, sizes: list[Size], axis: int) -> tuple[Value, ...]:
    result: list[Value] = []
    start: Size = 0
    for size in sizes:
        starts = tuple(start if i == axis else 0 for i in range(x.rank))
        stops = tuple(start + size if i == axis else s for i, s in enumerate(x.shape))
        result.append(apply_op("slice", x, starts=starts, stops=stops, steps=(1,) * x.rank))
        start = start + size
    return tuple(result)


@builtin("pad")
def _pad(frame: Frame, span: Span, x: Any, widths: Any, mode: str = "constant", value: float = 0.0) -> Value:
    pairs = tuple(to_shape(pair, span) for pair in to_list(widths, span, "padding widths"))
    return apply_op("pad", tensor(x, span, "pad"), widths=pairs, mode=mode, value=value)


@builtin("roll")
def _roll(frame: Frame, span: Span, x: Any, shift: Any, axis: Any) -> Value:
    x = tensor(x, span, "roll")
    numbers = tuple(to_int(s, span, "a shift") for s in listed(shift, span))
    return apply_op("roll", x, shifts=numbers, axes=axis_list(axis, x, span) or ())


@builtin("flip")
def _flip(frame: Frame, span: Span, x: Any, axis: Any = None) -> Value:
    x = tensor(x, span, "flip")
    axes = axis_list(axis, x, span)
    return apply_op("flip", x, axes=tuple(range(x.rank)) if axes is None else axes)


def _triangle(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any, k: int = 0) -> Value:
        return apply_op(name, tensor(x, span, name), k=to_int(k, span, "`k`"))

    BUILTINS[name] = Builtin(name, run)


_triangle("tril")
_triangle("triu")


@builtin("diagonal")
def _diagonal(frame: Frame, span: Span, x: Any, k: int = 0, axes: Any = (-2, -1)) -> Value:
    x = tensor(x, span, "diagonal")
    return apply_op("diagonal", x, k=to_int(k, span, "`k`"), axes=axis_list(axes, x, span))


@builtin("diag_embed")
def _diag_embed(frame: Frame, span: Span, x: Any, k: int = 0) -> Value:
    return apply_op("diag_embed", tensor(x, span, "diag_embed"), k=to_int(k, span, "`k`"))


@builtin("repeat_interleave")
def _repeat_interleave(frame: Frame, span: Span, x: Any, count: Any, axis: int) -> Value:
    x = tensor(x, span, "repeat_interleave")
    return apply_op("repeat_interleave", x, count=to_size(count, span), axis=one_axis(axis, x, span))
