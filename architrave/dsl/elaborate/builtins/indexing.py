"""Functions that index by tensors, and that look up."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.arithmetic import operand
from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, one_axis, tensor
from architrave.dsl.elaborate.conversions import to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir.graph import Value
from architrave.ir.source import Span


@builtin("gather")
def _gather(frame: Frame, span: Span, x: Any, index: Any, axis: int = 0) -> Value:
    x = tensor(x, span, "gather")
    return apply_op("gather", x, tensor(index, span, "gather"), axis=one_axis(axis, x, span))


@builtin("take")
def _take(frame: Frame, span: Span, x: Any, index: Any, axis: int = 0) -> Value:
    x = tensor(x, span, "take")
    return apply_op("take", x, tensor(index, span, "take"), axis=one_axis(axis, x, span))


def _scattering(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any, index: Any, source: Any, axis: int = 0) -> Value:
        x = tensor(x, span, name)
        written = operand(source, name, span)
        return apply_op(name, x, tensor(index, span, name), written, axis=one_axis(axis, x, span))

    BUILTINS[name] = Builtin(name, run)


for _name in ("scatter", "scatter_add", "scatter_max"):
    _scattering(_name)


def _segments(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any, segments: Any, count: Any) -> Value:
        return apply_op(name, tensor(x, span, name), tensor(segments, span, name), count=to_size(count, span))

    BUILTINS[name] = Builtin(name, run)


for _name in ("segment_sum", "segment_mean", "segment_max", "segment_softmax"):
    _segments(_name)


@builtin("embedding_bag")
def _embedding_bag(frame: Frame, span: Span, table: Any, index: Any, weights: Any = None, mode: str = "sum") -> Value:
    given = [tensor(v, span, "embedding_bag") for v in (table, index, weights) if v is not None]
    return apply_op("embedding_bag", *given, mode=mode)


@builtin("searchsorted")
def _searchsorted(frame: Frame, span: Span, sorted: Any, x: Any, right: bool = False) -> Value:
    return apply_op("searchsorted", *(tensor(v, span, "searchsorted") for v in (sorted, x)), right=right)


@builtin("bucketize")
def _bucketize(frame: Frame, span: Span, x: Any, boundaries: Any, right: bool = False) -> Value:
    return apply_op("bucketize", *(tensor(v, span, "bucketize") for v in (x, boundaries)), right=right)
