"""Rules for reductions, scans along axes and changes of shape, which NumPy and jax.numpy write alike."""

from __future__ import annotations

import math

from architrave.backends.base import Call, Rules
from architrave.backends.code import TUPLE, Code, call, literal, method, sequence, subscript
from architrave.backends.functional.dtypes import as_float, promoted
from architrave.ir.dims import Size
from architrave.ir.types import normalize_axis

_COUNTED = ("sum", "prod", "cumsum", "cumprod")
_CHOSEN = ("max", "min", "any", "all")


def add_axes(rules: Rules, np: str) -> None:
    """Add the rules that write functions of the module `np`."""

    @rules.rule(*_COUNTED)
    def _counted(at: Call) -> Code:
        options = reduction(at) if hasattr(at.op, "axes") else {"axis": literal(_axis(at))}
        if at.types[0].dtype is not at.results[0].dtype:
            options["dtype"] = Code(at.dtype(at.results[0].dtype))
        return method(at.args[0], at.op.name, **options)

    @rules.rule(*_CHOSEN)
    def _chosen(at: Call) -> Code:
        return method(at.args[0], at.op.name, **reduction(at))

    @rules.rule("mean")
    def _mean(at: Call) -> Code:
        if 0 in at.types[0].shape:
            # Of nothing both frameworks warn.
            return call(f"{np}.full", at.shape(at.results[0].shape), literal(math.nan), at.dtype(at.results[0].dtype))
        return method(as_float(at), "mean", **reduction(at))

    @rules.rule("var")
    def _var(at: Call) -> Code:
        options = reduction(at)
        if at.op.correction:
            options["ddof"] = literal(at.op.correction)
        return method(as_float(at), "var", **options)

    @rules.rule("moments")
    def _moments(at: Call) -> Code:
        x, options = as_float(at), reduction(at)
        return Code(f"{method(x, 'mean', **options)}, {method(x, 'var', **options)}", TUPLE)

    @rules.rule("argmax", "argmin")
    def _argmax(at: Call) -> Code:
        options = {} if at.op.axis is None else {"axis": literal(_axis(at))}
        if at.op.keep:
            options["keepdims"] = Code("True")
        return method(at.args[0], at.op.name, **options)

    @rules.rule("reshape", "flatten")
    def _reshape(at: Call) -> Code:
        sizes = [at.size(size) for size in at.results[0].shape]
        return method(at.args[0], "reshape", *(sizes or ["()"]))

    @rules.rule("unsqueeze")
    def _unsqueeze(at: Call) -> Code:
        rank = at.results[0].rank
        new = {normalize_axis(axis, rank) for axis in at.op.axes}
        return subscript(at.args[0], _index(["None" if axis in new else ":" for axis in range(rank)]))

    @rules.rule("squeeze")
    def _squeeze(at: Call) -> Code:
        shape, axes = at.types[0].shape, at.op.axes
        gone = {normalize_axis(a, len(shape)) for a in axes} if axes is not None else None
        ones = [size == 1 if gone is None else i in gone for i, size in enumerate(shape)]
        return subscript(at.args[0], _index(["0" if one else ":" for one in ones]))

    @rules.rule("transpose")
    def _transpose(at: Call) -> Code:
        axes = [normalize_axis(axis, at.types[0].rank) for axis in at.op.axes]
        if len(axes) == 2 and axes == [1, 0]:
            return Code(f"{at.args[0].atom}.T")
        return method(at.args[0], "transpose", *map(str, axes))

    @rules.rule("expand")
    def _expand(at: Call) -> Code:
        return call(f"{np}.broadcast_to", at.args[0], at.shape(at.results[0].shape))

    @rules.rule("concat", "stack")
    def _concat(at: Call) -> Code:
        name = "concatenate" if at.op.name == "concat" else "stack"
        axis = normalize_axis(at.op.axis, at.results[0].rank)
        return call(f"{np}.{name}", f"[{', '.join(map(str, promoted(at, np)))}]", axis=literal(axis))

    @rules.rule("slice")
    def _slice(at: Call) -> Code:
        parts = zip(at.op.starts, at.op.stops, at.op.steps, at.types[0].shape, strict=True)
        return subscript(at.args[0], _index([_range(at, *part) for part in parts]))

    @rules.rule("pad")
    def _pad(at: Call) -> Code:
        if not at.op.widths:
            return at.args[0]
        widths = sequence(sequence(at.size(w) for w in pair) for pair in at.op.widths)
        options: dict[str, Code] = {}
        if at.op.mode != "constant":
            options["mode"] = literal(at.op.mode)
        elif at.op.value != 0:
            options["constant_values"] = literal(at.op.value)
        return call(f"{np}.pad", at.args[0], widths, **options)

    @rules.rule("flip")
    def _flip(at: Call) -> Code:
        return call(f"{np}.flip", at.args[0], axis=literal(_few(at.op.axes)))

    @rules.rule("roll")
    def _roll(at: Call) -> Code:
        shifts = at.op.shifts
        shown = at.size(shifts[0]) if len(shifts) == 1 else at.shape(tuple(shifts))
        return call(f"{np}.roll", at.args[0], shown, axis=literal(_few(at.op.axes)))

    @rules.rule("tril", "triu")
    def _triangle(at: Call) -> Code:
        k = literal(at.op.k) if at.op.k else None
        return call(f"{np}.{at.op.name}", at.args[0], k)


def reduction(at: Call) -> dict[str, Code | str]:
    """The keyword arguments `axis` and `keepdims`, where they are needed."""
    rank = at.types[0].rank
    options: dict[str, Code | str] = {}
    axes = None if at.op.axes is None else tuple(sorted(normalize_axis(a, rank) for a in at.op.axes))
    if axes is not None and axes != tuple(range(rank)):
        options["axis"] = literal(_few(axes))
    if at.op.keep:
        options["keepdims"] = "True"
    return options


def _range(at: Call, start: Size, stop: Size, step: int, size: Size) -> str:
    """`start:stop:step`, without what goes without saying."""
    first, last = (0, size) if step > 0 else (size - 1, -1)
    shown = f"{'' if start == first else at.size(start)}:{'' if stop == last else at.size(stop)}"
    return shown if step == 1 else f"{shown}:{step}"


def _axis(at: Call) -> int:
    return normalize_axis(at.op.axis, at.types[0].rank)


def _few(axes: tuple[int, ...]) -> int | tuple[int, ...]:
    """One axis as a number."""
    return axes[0] if len(axes) == 1 else tuple(axes)


def _index(parts: list[str]) -> str:
    """An index, without the axes at the end that it takes whole."""
    if not parts:
        return "()"
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)
