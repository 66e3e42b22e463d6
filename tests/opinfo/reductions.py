"""Rules for reductions, running sums, order and statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from architrave.ir import build as ops
from architrave.ir.graph import Value
from tests.opinfo.judge import THEIRS
from tests.opinfo.rules import as_pair, axes, axis, cast, require, rules


def reduced(name: str, empty_is_all: bool = True) -> Callable[..., Value]:
    def reduce(x: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
        x = cast(x, dtype)
        return ops.call(name, x, axes=axes(x, dim, empty_is_all=empty_is_all), keep=keepdim)

    return reduce


def spread(name: str) -> Callable[..., Value]:
    """Variances and deviations: PyTorch's `correction` is 1."""

    def spread(
        x: Value, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: Any = None
    ) -> Value:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if correction is None:
            correction = 1 if unbiased is None else int(unbiased)
        require(float(correction).is_integer(), "a fraction as correction")
        require(correction >= 0, "a negative correction")
        return ops.call(name, x, axes=axes(x, dim), keep=keepdim, correction=int(correction))

    return spread


def with_mean(name: str) -> Callable[..., tuple[Value, Value]]:
    def both(x: Value, dim: Any = None, *arguments: Any, keepdim: bool = False, **named: Any) -> tuple[Value, Value]:
        along = None if isinstance(dim, bool) else axes(x, dim)
        keep = arguments[1] if len(arguments) > 1 else keepdim
        return spread(name)(x, dim, *arguments[:1], keepdim=keep, **named), ops.mean(x, axes=along, keep=keep)

    return both


def placed(name: str, places: str) -> Callable[..., tuple[Value, Value]]:
    """The largest of an axis and where it is; of equals PyTorch promises none."""

    def found(x: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
        along = axis(x, dim)
        return ops.call(name, x, axes=(along,), keep=keepdim), ops.call(places, x, axis=along, keep=keepdim)

    return found


def place(name: str) -> Callable[..., Value]:
    def found(x: Value, dim: int | None = None, keepdim: bool = False) -> Value:
        require(dim is None or x.rank > 0, "an axis of a tensor that has none")
        require(dim is not None or not keepdim, "one axis in the place of all")
        return ops.call(name, x, axis=dim, keep=keepdim)

    return found


def any_or_all(name: str) -> Callable[..., Value]:
    def reduce(x: Value, dim: Any = None, keepdim: bool = False) -> Value:
        truth = x if x.dtype.is_bool else ops.not_equal(x, 0)
        return ops.call(name, truth, axes=axes(x, dim, empty_is_all=False), keep=keepdim)

    return reduce


def normed(x: Value, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    require(isinstance(p, int | float) and p > 0, "a norm that is not of an order above 0")
    return ops.norm(cast(x, dtype), axes=axes(x, dim), keep=keepdim, order=float(p))


def running(name: str) -> Callable[..., Value]:
    def run(x: Value, dim: int, dtype: Any = None) -> Value:
        return ops.call(name, cast(x, dtype), axis=axis(x, dim))

    return run


def values_alone(op: Any, *arguments: Any, **named: Any) -> Any:
    """Without the places: PyTorch gives the last of equals, ours has none."""
    return op(*arguments, **named)[0]


THEIRS["cummax"] = THEIRS["cummin"] = values_alone


def softened(name: str) -> Callable[..., Value]:
    def soften(x: Value, dim: int, dtype: Any = None, _stacklevel: int = 3) -> Value:
        require(not x.rank or x.shape[dim] != 0, "an axis of no elements, which here is an error")
        return ops.call(name, cast(x, dtype), axis=axis(x, dim))

    return soften


def ordered(x: Value, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return ops.sort(x, axis=axis(x, dim), descending=descending), ops.argsort(x, axis=dim, descending=descending)


def largest(x: Value, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    return ops.topk(x, k=k, axis=axis(x, dim), largest=largest)


def quantiles(x: Value, q: Any, dim: Any = None, keepdim: bool = False, *, interpolation: str = "linear") -> Value:
    require(isinstance(q, float), "quantiles as a tensor")
    require(interpolation == "linear", "quantiles without interpolation")
    return ops.quantile(x, axis=dim if dim is None else axis(x, dim), keep=keepdim, q=q)


def softest(x: Value, dim: int, dtype: Any = None, _stacklevel: int = 3) -> Value:
    return softened("softmax")(-cast(x, dtype), dim)


def searched(
    sorted: Value, x: Any, *, side: str | None = None, right: bool = False, sorter: Any = None, **k: Any
) -> Any:
    require(sorter is None, "an order of what is searched")
    require(isinstance(x, Value), "a number as what is looked for")
    require(sorted.rank == 1, "a sorted row for each row")
    row = x if x.rank else ops.reshape(x, shape=(1,))
    found = ops.reshape(ops.searchsorted(sorted, row, right=right or side == "right"), shape=x.shape)
    return cast(found, "torch.int32") if k.get("out_int32") else found


rules(
    {
        "sum": reduced("sum"),
        "mean": reduced("mean"),
        "amax": reduced("max"),
        "amin": reduced("min"),
        "logsumexp": reduced("logsumexp"),
        "count_nonzero": reduced("count_nonzero"),
        "nansum": lambda x, *a, dtype=None, **k: reduced("sum")(
            ops.nan_to_num(cast(x, dtype), nan=0.0, posinf=math.inf, neginf=-math.inf), *a, **k
        ),
        "prod": reduced("prod"),
        "all": any_or_all("all"),
        "any": any_or_all("any"),
        "argmax": place("argmax"),
        "argmin": place("argmin"),
        "max.reduction_with_dim": placed("max", "argmax"),
        "min.reduction_with_dim": placed("min", "argmin"),
        "max.reduction_no_dim": lambda x: ops.max(x),
        "min.reduction_no_dim": lambda x: ops.min(x),
        "aminmax": lambda x, dim=None, keepdim=False: (
            reduced("min")(x, dim, keepdim),
            reduced("max")(x, dim, keepdim),
        ),
        "var": spread("var"),
        "var.unbiased": spread("var"),
        "std": spread("std"),
        "std.unbiased": spread("std"),
        "var_mean": with_mean("var"),
        "var_mean.unbiased": with_mean("var"),
        "std_mean": with_mean("std"),
        "std_mean.unbiased": with_mean("std"),
        "norm": lambda x, p="fro", dim=None, keepdim=False, dtype=None: normed(
            x, 2 if p == "fro" else p, dim, keepdim, dtype
        ),
        "norm.fro": lambda x, p="fro", dim=None, keepdim=False, dtype=None: normed(x, 2, dim, keepdim, dtype),
        "norm.inf": normed,
        "linalg.vector_norm": lambda x, ord=2, dim=None, keepdim=False, dtype=None: normed(x, ord, dim, keepdim, dtype),
        "cumsum": running("cumsum"),
        "cumprod": running("cumprod"),
        "cummax": lambda x, dim: ops.cummax(x, axis=axis(x, dim)),
        "cummin": lambda x, dim: ops.cummin(x, axis=axis(x, dim)),
        "softmax": softened("softmax"),
        "softmax.with_dtype": softened("softmax"),
        "log_softmax": softened("log_softmax"),
        "log_softmax.with_dtype": softened("log_softmax"),
        "nn.functional.softmin": softest,
        "nn.functional.softmin.with_dtype": softest,
        "sort": ordered,
        "msort": lambda x: ops.sort(x, axis=axis(x, 0)),
        "argsort": lambda x, dim=-1, descending=False, **_: ops.argsort(x, axis=axis(x, dim), descending=descending),
        "topk": largest,
        "quantile": quantiles,
        "searchsorted": searched,
        "bucketize": lambda x, boundaries, **k: searched(boundaries, x, **k),
        "diff": lambda x, n=1, dim=-1, prepend=None, append=None: differences(x, n, dim, prepend, append),
        "dist": lambda a, b, p=2: normed(a - b, p),
        "trace": lambda x: ops.sum(ops.diagonal(x)),
        "trapezoid": lambda *a, **k: trapezoid(*a, **k),
        "trapz": lambda *a, **k: trapezoid(*a, **k),
        "renorm": lambda x, p, dim, maxnorm: renormed(x, p, dim, maxnorm),
        "nn.functional.normalize": lambda x, p=2.0, dim=1, eps=1e-12, out=None: (
            x / ops.maximum(normed(x, p, dim, True), float(eps))
        ),
        "nn.functional.pairwise_distance": lambda a, b, p=2.0, eps=1e-6, keepdim=False: normed(
            a - b + eps, p, -1, keepdim
        ),
    }
)


def part(x: Value, dim: int, start: int, stop: int) -> Value:
    """A range of one axis."""
    d = dim % x.rank
    starts = tuple(start if i == d else 0 for i in range(x.rank))
    stops = tuple(stop if i == d else n for i, n in enumerate(x.shape))
    return ops.slice(x, starts=starts, stops=stops, steps=as_pair(1, x.rank))


def differences(x: Value, n: int, dim: int, prepend: Value | None, append: Value | None) -> Value:
    parts = [p for p in (prepend, x, append) if p is not None]
    x = ops.concat(*parts, axis=dim) if len(parts) > 1 else x
    for _ in range(n):
        size = int(x.shape[dim])  # type: ignore[arg-type]
        x = part(x, dim, min(1, size), size) - part(x, dim, 0, max(size - 1, 0))
    return x


def trapezoid(y: Value, x: Value | None = None, dx: float = 1.0, dim: int = -1) -> Value:
    require(x is None, "places of the samples")
    size = int(y.shape[dim])  # type: ignore[arg-type]
    return ops.sum(part(y, dim, 1, size) + part(y, dim, 0, size - 1), axes=(dim,)) * (dx / 2)


def renormed(x: Value, p: float, dim: int, maxnorm: float) -> Value:
    others = tuple(i for i in range(x.rank) if i != dim % x.rank)
    size = ops.norm(x, axes=others, keep=True, order=float(p))
    return x * ops.where(ops.greater(size, float(maxnorm)), maxnorm / (size + 1e-7), 1.0)
