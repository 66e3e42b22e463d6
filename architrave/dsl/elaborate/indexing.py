"""Indexing tensors: `x[:, 0]`, `x[..., 1:3]`, as in NumPy's basic indexing."""

from __future__ import annotations

from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.conversions import to_int, to_size
from architrave.dsl.elaborate.core import Frame, evaluate
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir.dims import Size
from architrave.ir.graph import Value
from architrave.ir.source import Span, error


def index_tensor(x: Value, node: syntax.Index, frame: Frame) -> Value:
    """A slice of a tensor. Integers drop their axis; `...` stands for as many whole axes as are left."""
    subscripts = _expanded(x, node)
    starts: list[Size] = []
    stops: list[Size] = []
    steps: list[int] = []
    dropped: list[int] = []
    for axis, subscript in enumerate(subscripts):
        size = x.shape[axis]
        if isinstance(subscript, syntax.Slice):
            start, stop, step = _slice(subscript, size, frame)
        else:
            start = _position(evaluate(subscript, frame), size, axis, subscript.span)
            stop, step = start + 1, 1
            dropped.append(axis)
        starts.append(start)
        stops.append(stop)
        steps.append(step)
    frame.here(node.span)
    whole = all(a == 0 and b == s and c == 1 for a, b, c, s in zip(starts, stops, steps, x.shape, strict=True))
    result = x if whole else apply_op("slice", x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
    return apply_op("squeeze", result, axes=tuple(dropped)) if dropped else result


def _expanded(x: Value, node: syntax.Index) -> list[Any]:
    ellipses = [s for s in node.subscripts if isinstance(s, syntax.Ellipsis)]
    given = len(node.subscripts) - len(ellipses)
    if len(ellipses) > 1:
        raise error("E250", "`...` may stand once in an index", ellipses[1].span)
    if given > x.rank:
        raise error("E250", f"{given} indices for a tensor of rank {x.rank}, {x.type}", node.span)
    whole = syntax.Slice(None, None, None, span=node.span)
    missing = [whole] * (x.rank - given)
    result: list[Any] = []
    for subscript in node.subscripts:
        result += missing if isinstance(subscript, syntax.Ellipsis) else [subscript]
    return result if ellipses else result + missing


def _position(value: Any, size: Size, axis: int, span: Span) -> Size:
    if isinstance(value, Value):
        raise error(
            "E250",
            f"an index must be known while building, not {describe(value)}",
            span,
            hint="`take(x, index, axis)` indexes by a tensor",
        )
    index = to_size(value, span, "an index")
    if isinstance(index, int) and index < 0:
        index = size + index
    if isinstance(index, int) and isinstance(size, int) and not 0 <= index < size:
        raise error("E237", f"there is no index {value} on axis {axis}, which has {size}", span)
    return index


def _slice(node: syntax.Slice, size: Size, frame: Frame) -> tuple[Size, Size, int]:
    step = 1 if node.step is None else to_int(evaluate(node.step, frame), node.step.span, "the step of a slice")
    if step <= 0:
        raise error(
            "E250",
            f"the step of a slice must be at least 1, not {step}",
            node.span,
            hint="`flip(x, axis)` turns a tensor round",
        )
    start = 0 if node.start is None else _bound(evaluate(node.start, frame), size, node.start.span)
    stop = size if node.stop is None else _bound(evaluate(node.stop, frame), size, node.stop.span)
    if isinstance(start, int) and isinstance(stop, int):
        stop = max(start, stop)
    return start, stop, step


def _bound(value: Any, size: Size, span: Span) -> Size:
    """A bound of a slice, clamped as in NumPy where it can be compared with the size."""
    bound = to_size(value, span, "the bound of a slice")
    if isinstance(bound, int) and bound < 0:
        bound = size + bound
        return max(bound, 0) if isinstance(bound, int) else bound
    return min(bound, size) if isinstance(bound, int) and isinstance(size, int) else bound
