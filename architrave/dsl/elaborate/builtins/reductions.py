"""Functions along axes, and their static namesakes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from architrave.dsl.elaborate.builtins.arithmetic import build_static, operand
from architrave.dsl.elaborate.builtins.registry import BUILTINS, axis_list, builtin, one_axis, tensor
from architrave.dsl.elaborate.conversions import to_int, to_list, to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.kinds import is_number
from architrave.dsl.elaborate.values import Builtin, apply_op, describe
from architrave.ir import build
from architrave.ir.dims import Dim, product
from architrave.ir.graph import Value
from architrave.ir.source import Span, error


def _reduction(name: str, static: Callable[[list[Any], Span], Any] | None = None) -> None:
    def run(frame: Frame, span: Span, x: Any, axis: Any = None, keep: bool = False) -> Any:
        if static is not None and not isinstance(x, Value):
            return static(to_list(x, span, f"what `{name}` takes"), span)
        x = tensor(x, span, name)
        return apply_op(name, x, axes=axis_list(axis, x, span), keep=keep)

    BUILTINS[name] = Builtin(name, run)


def _total(items: list[Any], span: Span) -> Any:
    total: Any = 0
    for item in items:
        total = total + _addable(item, span)
    return total


def _addable(item: Any, span: Span) -> Any:
    if isinstance(item, Value | Dim) or is_number(item):
        return item
    raise error("E227", f"`sum` takes tensors or numbers, not {describe(item)}", span)


_reduction("sum", _total)
_reduction("prod", lambda items, span: product([_addable(i, span) for i in items]))
_reduction("any", lambda items, span: any(items))
_reduction("all", lambda items, span: all(items))
for _name in ("mean", "logsumexp", "count_nonzero"):
    _reduction(_name)


def _extremum(name: str, pair: str, function: Callable[..., Any]) -> None:
    """`max(x, axis = 1)` of a tensor; `max(a, b, ...)` and `max(list)` of numbers or tensors."""

    def run(frame: Frame, span: Span, x: Any, *rest: Any, axis: Any = None, keep: bool = False) -> Any:
        if isinstance(x, Value) and not rest:
            return apply_op(name, x, axes=axis_list(axis, x, span), keep=keep)
        items = [x, *rest] if rest else to_list(x, span, f"what `{name}` takes")
        if any(isinstance(i, Value) for i in items):
            result = operand(items[0], name, span)
            for item in items[1:]:
                result = apply_op(pair, result, operand(item, name, span))
            return result
        if not items:
            raise error("E227", f"`{name}` of nothing", span)
        if any(isinstance(i, Dim) for i in items):
            return _extreme_dimension(name, items, span)
        return build_static(name, items, lambda *values: function(values), span)

    BUILTINS[name] = Builtin(name, run)


def _extreme_dimension(name: str, items: list[Any], span: Span) -> Any:
    """The larger or smaller of sizes, where their difference is a number."""
    best = to_size(items[0], span, f"what `{name}` takes")
    for item in items[1:]:
        difference = to_size(item, span, f"what `{name}` takes") - best
        if isinstance(difference, Dim):
            raise error("E231", f"`{name}` of {best} and {item} is known only when the network runs", span)
        best = item if (difference > 0) == (name == "max") else best
    return best


_extremum("max", "maximum", max)
_extremum("min", "minimum", min)


@builtin("var")
def _var(frame: Frame, span: Span, x: Any, axis: Any = None, correction: int = 0, keep: bool = False) -> Value:
    x = tensor(x, span, "var")
    return apply_op("var", x, axes=axis_list(axis, x, span), keep=keep, correction=correction)


@builtin("std")
def _std(frame: Frame, span: Span, x: Any, axis: Any = None, correction: int = 0, keep: bool = False) -> Value:
    x = tensor(x, span, "std")
    return apply_op("std", x, axes=axis_list(axis, x, span), keep=keep, correction=correction)


@builtin("norm")
def _norm(frame: Frame, span: Span, x: Any, axis: Any = None, keep: bool = False, order: float = 2) -> Value:
    x = tensor(x, span, "norm")
    return apply_op("norm", x, axes=axis_list(axis, x, span), keep=keep, order=order)


@builtin("moments")
def _moments(frame: Frame, span: Span, x: Any, axes: Any, keep: bool = False) -> Any:
    x = tensor(x, span, "moments")
    return build.call("moments", x, axes=axis_list(axes, x, span), keep=keep)


@builtin("argmax")
def _argmax(frame: Frame, span: Span, x: Any, axis: Any = None, keep: bool = False) -> Value:
    x = tensor(x, span, "argmax")
    return apply_op("argmax", x, axis=None if axis is None else one_axis(axis, x, span), keep=keep)


@builtin("argmin")
def _argmin(frame: Frame, span: Span, x: Any, axis: Any = None, keep: bool = False) -> Value:
    x = tensor(x, span, "argmin")
    return apply_op("argmin", x, axis=None if axis is None else one_axis(axis, x, span), keep=keep)


@builtin("quantile")
def _quantile(frame: Frame, span: Span, x: Any, q: float, axis: Any = None, keep: bool = False) -> Value:
    x = tensor(x, span, "quantile")
    return apply_op("quantile", x, axis=None if axis is None else one_axis(axis, x, span), keep=keep, q=q)


@builtin("median")
def _median(frame: Frame, span: Span, x: Any, axis: Any = None, keep: bool = False) -> Value:
    x = tensor(x, span, "median")
    return apply_op("median", x, axis=None if axis is None else one_axis(axis, x, span), keep=keep)


@builtin("cummax")
def _cummax(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    x = tensor(x, span, "cummax")
    return apply_op("cummax", x, axis=one_axis(axis, x, span))


@builtin("cummin")
def _cummin(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    x = tensor(x, span, "cummin")
    return apply_op("cummin", x, axis=one_axis(axis, x, span))


@builtin("cumsum")
def _cumsum(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    x = tensor(x, span, "cumsum")
    return apply_op("cumsum", x, axis=one_axis(axis, x, span))


@builtin("cumprod")
def _cumprod(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    x = tensor(x, span, "cumprod")
    return apply_op("cumprod", x, axis=one_axis(axis, x, span))


@builtin("sort")
def _sort(frame: Frame, span: Span, x: Any, axis: int = -1, descending: bool = False) -> Value:
    x = tensor(x, span, "sort")
    return apply_op("sort", x, axis=one_axis(axis, x, span), descending=descending)


@builtin("argsort")
def _argsort(frame: Frame, span: Span, x: Any, axis: int = -1, descending: bool = False) -> Value:
    x = tensor(x, span, "argsort")
    return apply_op("argsort", x, axis=one_axis(axis, x, span), descending=descending)


@builtin("topk")
def _topk(frame: Frame, span: Span, x: Any, k: int, axis: int = -1, largest: bool = True) -> Any:
    x = tensor(x, span, "topk")
    return build.call("topk", x, k=to_int(k, span, "`k`"), axis=one_axis(axis, x, span), largest=largest)


BUILTINS["pi"] = math.pi
