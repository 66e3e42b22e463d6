"""Elementwise functions, of tensors and, where that makes sense, of static numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from architrave.dsl.elaborate.application import DTYPE_WORDS
from architrave.dsl.elaborate.arithmetic import as_operand
from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, tensor
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.kinds import is_number
from architrave.dsl.elaborate.shapes import nearest_dtype
from architrave.dsl.elaborate.values import Builtin, apply_op, describe
from architrave.ir.dims import Dim
from architrave.ir.graph import Value
from architrave.ir.source import Span, error
from architrave.ir.types import DType

_UNARY = (
    "sign", "rsqrt", "sin", "cos", "tan", "sigmoid", "erf", "relu", "silu", "softplus", "selu", "hard_sigmoid",
    "hard_swish", "mish", "stop_gradient", "isnan", "isfinite", "log1p", "expm1", "logical_not",
    "isinf", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh", "exp2", "log10", "reciprocal", "square",
    "cbrt", "trunc", "frac", "relu6", "log_sigmoid", "softsign", "tanh_shrink",
    "sinc", "erfinv", "lgamma", "digamma",
)  # fmt: skip
_UNARY_STATIC: dict[str, Callable[[Any], Any]] = {
    "abs": abs, "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh,
    "floor": math.floor, "ceil": math.ceil, "round": round, "log2": math.log2,
}  # fmt: skip


def _unary(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any) -> Any:
        return apply_op(name, tensor(x, span, name))

    BUILTINS[name] = Builtin(name, run)


def _unary_or_static(name: str, function: Callable[[Any], Any]) -> None:
    def run(frame: Frame, span: Span, x: Any) -> Any:
        if isinstance(x, Value):
            return apply_op(name, x)
        if isinstance(x, Dim):
            return (
                x
                if name in ("abs", "floor", "ceil", "round")
                else apply_op(name, apply_op("cast", as_operand(x), dtype=DType.FLOAT))
            )
        if not is_number(x):
            raise error("E227", f"`{name}` takes a tensor or a number, not {describe(x)}", span)
        try:
            return function(x)
        except (ValueError, OverflowError) as problem:
            raise error("E234", f"{name}({x}) is not a number", span) from problem

    BUILTINS[name] = Builtin(name, run)


for _name in _UNARY:
    _unary(_name)
for _name, _function in _UNARY_STATIC.items():
    _unary_or_static(_name, _function)


@builtin("gelu")
def _gelu(frame: Frame, span: Span, x: Any, approximate: str = "none") -> Value:
    return apply_op("gelu", tensor(x, span, "gelu"), approximate=approximate)


@builtin("elu")
def _elu(frame: Frame, span: Span, x: Any, alpha: float = 1.0) -> Value:
    return apply_op("elu", tensor(x, span, "elu"), alpha=alpha)


@builtin("polygamma")
def _polygamma(frame: Frame, span: Span, x: Any, n: int) -> Value:
    return apply_op("polygamma", tensor(x, span, "polygamma"), n=n)


@builtin("celu")
def _celu(frame: Frame, span: Span, x: Any, alpha: float = 1.0) -> Value:
    return apply_op("celu", tensor(x, span, "celu"), alpha=alpha)


@builtin("hard_tanh")
def _hard_tanh(frame: Frame, span: Span, x: Any, lo: float = -1.0, hi: float = 1.0) -> Value:
    return apply_op("hard_tanh", tensor(x, span, "hard_tanh"), lo=lo, hi=hi)


@builtin("hard_shrink")
def _hard_shrink(frame: Frame, span: Span, x: Any, bound: float = 0.5) -> Value:
    return apply_op("hard_shrink", tensor(x, span, "hard_shrink"), bound=bound)


@builtin("soft_shrink")
def _soft_shrink(frame: Frame, span: Span, x: Any, bound: float = 0.5) -> Value:
    return apply_op("soft_shrink", tensor(x, span, "soft_shrink"), bound=bound)


@builtin("threshold")
def _threshold(frame: Frame, span: Span, x: Any, threshold: float, value: float = 0.0) -> Value:
    return apply_op("threshold", tensor(x, span, "threshold"), threshold=threshold, value=value)


@builtin("prelu")
def _prelu(frame: Frame, span: Span, x: Any, weight: Any) -> Value:
    return apply_op("prelu", tensor(x, span, "prelu"), tensor(weight, span, "prelu"))


@builtin("glu")
def _glu(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    return apply_op("glu", tensor(x, span, "glu"), axis=axis)


@builtin("leaky_relu")
def _leaky_relu(frame: Frame, span: Span, x: Any, slope: float = 0.01) -> Value:
    return apply_op("leaky_relu", tensor(x, span, "leaky_relu"), slope=slope)


@builtin("clip")
def _clip(frame: Frame, span: Span, x: Any, lo: Any, hi: Any) -> Any:
    if not isinstance(x, Value):
        return build_static("clip", [x, lo, hi], _clipped, span)
    if is_number(lo) and is_number(hi):
        return apply_op("clip", x, lo=lo, hi=hi)
    return apply_op("minimum", apply_op("maximum", x, as_operand(lo)), as_operand(hi))


def _clipped(value: float, lo: float, hi: float) -> float:
    return min(max(value, lo), hi)


def build_static(name: str, values: list[Any], function: Callable[..., Any], span: Span) -> Any:
    """A function of static numbers. Raises E227 for anything else."""
    for value in values:
        if not is_number(value):
            raise error("E227", f"`{name}` takes tensors or numbers, not {describe(value)}", span)
    return function(*values)


@builtin("maximum")
def _maximum(frame: Frame, span: Span, a: Any, b: Any) -> Any:
    return _pair("maximum", a, b, max, span)


@builtin("minimum")
def _minimum(frame: Frame, span: Span, a: Any, b: Any) -> Any:
    return _pair("minimum", a, b, min, span)


def _pair(name: str, a: Any, b: Any, function: Callable[..., Any], span: Span) -> Any:
    if isinstance(a, Value) or isinstance(b, Value):
        return apply_op(name, operand(a, name, span), operand(b, name, span))
    return build_static(name, [a, b], function, span)


def operand(value: Any, name: str, span: Span) -> Any:
    """A tensor, a number or a dimension as an operand. Raises E227."""
    if isinstance(value, Value | bool | Dim) or is_number(value):
        return as_operand(value)
    raise error("E227", f"`{name}` takes tensors or numbers, not {describe(value)}", span)


def _of_two(name: str) -> None:
    def run(frame: Frame, span: Span, a: Any, b: Any) -> Value:
        return apply_op(name, operand(a, name, span), operand(b, name, span))

    BUILTINS[name] = Builtin(name, run)


for _name in ("hypot", "logaddexp", "fmod"):
    _of_two(_name)


@builtin("lerp")
def _lerp(frame: Frame, span: Span, a: Any, b: Any, t: Any) -> Value:
    return apply_op("lerp", *(operand(x, "lerp", span) for x in (a, b, t)))


@builtin("nan_to_num")
def _nan_to_num(
    frame: Frame, span: Span, x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Value:
    return apply_op("nan_to_num", tensor(x, span, "nan_to_num"), nan=nan, posinf=posinf, neginf=neginf)


@builtin("where")
def _where(frame: Frame, span: Span, condition: Any, a: Any, b: Any) -> Value:
    return apply_op("where", tensor(condition, span, "where"), operand(a, "where", span), operand(b, "where", span))


@builtin("cast")
def _cast(frame: Frame, span: Span, x: Any, dtype: Any) -> Value:
    return apply_op("cast", tensor(x, span, "cast"), dtype=to_dtype(dtype, span))


def to_dtype(value: Any, span: Span) -> DType:
    """A dtype; `float`, `complex`, `int` and `bool` stand for the chosen precision, i64 and bool. Raises E240."""
    if isinstance(value, DType):
        return value
    if isinstance(value, Builtin) and value.name in DTYPE_WORDS:
        return DTYPE_WORDS[value.name]
    hint = nearest_dtype(value if isinstance(value, str) else "")
    raise error("E240", f"{describe(value)} is not a dtype", span, hint=hint)


@builtin("softmax")
def _softmax(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    return apply_op("softmax", tensor(x, span, "softmax"), axis=axis)


@builtin("log_softmax")
def _log_softmax(frame: Frame, span: Span, x: Any, axis: int = -1) -> Value:
    return apply_op("log_softmax", tensor(x, span, "log_softmax"), axis=axis)


@builtin("matmul")
def _matmul(frame: Frame, span: Span, a: Any, b: Any) -> Value:
    return apply_op("matmul", tensor(a, span, "matmul"), tensor(b, span, "matmul"))


@builtin("identity")
def _identity(frame: Frame, span: Span, x: Any) -> Any:
    return x


for _dtype in DType:
    if _dtype not in (DType.FLOAT, DType.BOOL, DType.COMPLEX):
        BUILTINS[_dtype.value] = _dtype
