"""Rules for functions of each element."""

from __future__ import annotations

import math
from typing import Any

from architrave.ir import build as ops
from architrave.ir.graph import Value
from tests.opinfo.rules import cast, holds_floats, require, rules, same

same(
    [
        *("abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "exp2", "expm1"),
        *("floor", "frac", "log", "log10", "log1p", "log2", "reciprocal", "rsqrt", "sigmoid", "sign", "sin", "sinh"),
        *("sqrt", "square", "tan", "tanh", "trunc", "isfinite", "isinf", "isnan", "erf", "erfinv", "digamma", "lgamma"),
        *("sinc", "angle", "real", "imag", "conj", "atan2", "fmod"),
        *("remainder", "hypot", "logaddexp", "maximum", "minimum", "complex"),
    ],
    neg="negative",
    sgn="sign",
    conj_physical="conj",
    mul="multiply",
    true_divide="divide",
    floor_divide="floor_divide",
    eq="equal",
    ne="not_equal",
    lt="less",
    le="less_equal",
    gt="greater",
    ge="greater_equal",
    pow="power",
    lerp="lerp",
)


def unequal(a: Value, b: Value) -> Value:
    """Exclusive or, of truth values and of numbers."""
    return ops.not_equal(truth(a), truth(b))


def truth(x: Value) -> Value:
    return x if x.dtype.is_bool else ops.not_equal(x, 0)


def rounded(x: Value, decimals: int = 0) -> Value:
    require(decimals == 0, "rounding to decimals")
    return ops.round(x)


def divided(a: Any, b: Any, rounding_mode: str | None = None) -> Value:
    match rounding_mode:
        case None:
            return ops.divide(a, b)
        case "floor":
            return ops.floor_divide(a, b)
        case _:
            return ops.trunc(ops.divide(a, b))


def clamped(x: Value, lo: Any = None, hi: Any = None, *, min: Any = None, max: Any = None) -> Value:
    """Bounds may be tensors; PyTorch gives the whole gradient of a bound to `x`, which random numbers do not meet."""
    lo, hi = (lo if lo is not None else min), (hi if hi is not None else max)
    if not any(isinstance(bound, Value) for bound in (lo, hi)):
        return ops.clip(x, lo=lo, hi=hi)
    x = x if lo is None else ops.maximum(x, lo)
    return x if hi is None else ops.minimum(x, hi)


def unless_nan(pick: Any) -> Any:
    def picked(a: Value, b: Value) -> Value:
        require(holds_floats(a, b), "of integers")
        return ops.where(ops.isnan(a), b, ops.where(ops.isnan(b), a, pick(a, b)))

    return picked


def logit(x: Value, eps: float | None = None) -> Value:
    if eps is not None:
        x = ops.clip(x, lo=eps, hi=1 - eps)
    return ops.log(x / (1.0 - x))


def positive_polygamma(x: Value, n: int) -> Value:
    require(n == 0, "negative numbers, for which derivatives of digamma are left open")
    return ops.polygamma(x, n=n)


def shrunk(name: str, x: Value, bound: float) -> Value:
    require(bound >= 0, "a negative bound")
    return ops.call(name, x, bound=bound)


def sloped(x: Value, weight: Value) -> Value:
    require(weight.rank == 1, "a weight that is a scalar")
    return ops.prelu(x, weight)


def xlogy(x: Any, y: Any) -> Value:
    return ops.where(ops.equal(x, 0), 0.0, ops.multiply(x, ops.log(y)))


rules(
    {
        "add": lambda a, b, alpha=1: a + b if alpha == 1 else a + b * alpha,
        "sub": lambda a, b, alpha=1: a - b if alpha == 1 else a - b * alpha,
        "rsub": lambda a, b, alpha=1: b - a if alpha == 1 else b - a * alpha,
        "__radd__": lambda a, b: b + a,
        "__rsub__": lambda a, b: b - a,
        "__rmul__": lambda a, b: b * a,
        "__rdiv__": lambda a, b: b / a,
        "__rmatmul__": lambda a, b: ops.matmul(b, a),
        "__rmod__": lambda a, b: ops.remainder(b, a),
        "__rpow__": lambda a, b: ops.power(b, a),
        "div.no_rounding_mode": divided,
        "div.trunc_rounding": divided,
        "div.floor_rounding": divided,
        "positive": lambda x: x,
        "clone": lambda x, **_: x,
        "contiguous": lambda x, **_: x,
        "alias_copy": lambda x: x,
        "resolve_conj": lambda x: x,
        "resolve_neg": lambda x: x,
        "round": rounded,
        "round.decimals_0": rounded,
        "clamp": clamped,
        "clamp_min": lambda x, lo=None, **k: clamped(x, lo, **k),
        "clamp_max": lambda x, hi=None, **k: clamped(x, None, hi, **k),
        "max.binary": ops.maximum,
        "min.binary": ops.minimum,
        "fmax": unless_nan(ops.maximum),
        "fmin": unless_nan(ops.minimum),
        "logical_not": lambda x: ops.logical_not(truth(x)),
        "logical_and": lambda a, b: ops.logical_and(truth(a), truth(b)),
        "logical_or": lambda a, b: ops.logical_or(truth(a), truth(b)),
        "logical_xor": unequal,
        "deg2rad": lambda x: x * (math.pi / 180),
        "rad2deg": lambda x: x * (180 / math.pi),
        "erfc": lambda x: 1.0 - ops.erf(x),
        "logit": logit,
        "xlogy": xlogy,
        "heaviside": lambda x, at: ops.where(ops.equal(x, 0), at, ops.where(ops.greater(x, 0), 1.0, 0.0)),
        "addcmul": lambda x, a, b, value=1: x + value * (a * b),
        "addcdiv": lambda x, a, b, value=1: x + value * (a / b),
        "nan_to_num": lambda x, nan=None, posinf=None, neginf=None: ops.nan_to_num(
            x, nan=nan or 0.0, posinf=posinf, neginf=neginf
        ),
        "bitwise_and": ops.bitwise_and,
        "bitwise_or": ops.bitwise_or,
        "bitwise_xor": ops.bitwise_xor,
        "bitwise_not": ops.bitwise_not,
        "__rand__": lambda a, b: ops.bitwise_and(b, a),
        "__ror__": lambda a, b: ops.bitwise_or(b, a),
        "__rxor__": lambda a, b: ops.bitwise_xor(b, a),
        "isposinf": lambda x: ops.equal(x, math.inf),
        "isneginf": lambda x: ops.equal(x, -math.inf),
        "special.ndtr": lambda x: 0.5 * (1.0 + ops.erf(x * math.sqrt(0.5))),
        "logaddexp2": lambda a, b: ops.logaddexp(a * math.log(2), b * math.log(2)) * (1 / math.log(2)),
        "where": lambda a, condition, b: ops.where(condition, a, b),
        "masked_fill": lambda x, mask, value: ops.where(mask, value, x),
        "polar": lambda r, t: ops.complex(r * ops.cos(t), r * ops.sin(t)),
        "float": lambda x, **_: cast(x, "torch.float32"),
        "double": lambda x, **_: cast(x, "torch.float64"),
        "int": lambda x, **_: cast(x, "torch.int32"),
        "long": lambda x, **_: cast(x, "torch.int64"),
        "bool": lambda x, **_: cast(x, "torch.bool"),
        "zeros_like": lambda x, **_: x * 0.0,
        "ones_like": lambda x, **_: x * 0.0 + 1.0,
        "special.entr": lambda x: -xlogy(x, x),
        "special.xlog1py": lambda x, y: ops.where(ops.equal(x, 0), 0.0, ops.multiply(x, ops.log1p(y))),
        "ldexp": lambda x, n: x * ops.power(2.0, n),
        **{f"polygamma.polygamma_n_{n}": positive_polygamma for n in range(5)},
        "nn.functional.relu": lambda x, **_: ops.relu(x),
        "nn.functional.relu6": lambda x, **_: ops.relu6(x),
        "nn.functional.leaky_relu": lambda x, negative_slope=0.01, **_: ops.leaky_relu(x, slope=negative_slope),
        "nn.functional.elu": lambda x, alpha=1.0, **_: ops.elu(x, alpha=alpha),
        "nn.functional.celu": lambda x, alpha=1.0, **_: ops.celu(x, alpha=alpha),
        "nn.functional.selu": lambda x, **_: ops.selu(x),
        "nn.functional.silu": lambda x, **_: ops.silu(x),
        "nn.functional.mish": lambda x, **_: ops.mish(x),
        "nn.functional.gelu": lambda x, approximate="none": ops.gelu(x, approximate=approximate),
        "nn.functional.hardswish": lambda x, **_: ops.hard_swish(x),
        "nn.functional.hardsigmoid": lambda x, **_: ops.hard_sigmoid(x),
        "nn.functional.hardtanh": lambda x, lo=-1.0, hi=1.0, *, min_val=None, max_val=None, **_: ops.hard_tanh(
            x, lo=float(lo if min_val is None else min_val), hi=float(hi if max_val is None else max_val)
        ),
        "nn.functional.hardshrink": lambda x, lambd=0.5: shrunk("hard_shrink", x, lambd),
        "nn.functional.softshrink": lambda x, lambd=0.5: shrunk("soft_shrink", x, lambd),
        "nn.functional.tanhshrink": ops.tanh_shrink,
        "nn.functional.softsign": ops.softsign,
        "nn.functional.logsigmoid": ops.log_sigmoid,
        "nn.functional.threshold": lambda x, threshold, value, **_: ops.threshold(x, threshold=threshold, value=value),
        "nn.functional.glu": lambda x, dim=-1: ops.glu(x, axis=dim),
        "nn.functional.prelu": lambda x, weight: sloped(x, weight),
        "nn.functional.softplus": lambda x, beta=1, threshold=20, **_: softplus(x, beta, threshold),
    }
)


def softplus(x: Value, beta: float, threshold: float) -> Value:
    """PyTorch's is linear above the threshold; ours has none."""
    smooth = ops.softplus(x * float(beta)) * (1.0 / beta)
    return ops.where(ops.greater(x * float(beta), float(threshold)), x, smooth)
