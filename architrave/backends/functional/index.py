"""Rules for indexing, normalization and random numbers: functions of the same signatures in both preludes."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.functional.dtypes import as_float, promoted
from architrave.ir.op import Op
from architrave.ir.types import normalize_axis

_NORMALIZED = {
    "batch_norm": "normalize_channels",
    "layer_norm": "normalize_last",
    "rms_norm": "normalize_rms",
    "group_norm": "normalize_groups",
    "attention": "attend",
}
"""Functions of the preludes, under names that a `.arch` file hardly gives to its own blocks."""


def add_index(rules: Rules, np: str) -> None:
    """Add the rules that index, sort and draw."""

    @rules.rule("take")
    def _take(at: Call) -> Code:
        axis = normalize_axis(at.op.axis, at.types[0].rank)
        return call(f"{np}.take", *at.args, axis=literal(axis), mode=literal("clip"))

    @rules.rule("gather")
    def _gather(at: Call) -> Code:
        return call(at.use("gather"), *at.args, axis=literal(normalize_axis(at.op.axis, at.types[0].rank)))

    @rules.rule("scatter_add")
    def _scatter_add(at: Call) -> Code:
        x, index, source = at.args
        values = Call(at.op, (x, source), (at.types[0], at.types[2]), at.results, at.scope)
        x, source = promoted(values, np)
        return call(at.use("scatter_add"), x, index, source, axis=literal(normalize_axis(at.op.axis, at.types[0].rank)))

    @rules.rule("diagonal")
    def _diagonal(at: Call) -> Code:
        rows, columns = (normalize_axis(axis, at.types[0].rank) for axis in at.op.axes)
        return call(f"{np}.diagonal", at.args[0], literal(at.op.k), literal(rows), literal(columns))

    @rules.rule("repeat_interleave")
    def _repeat(at: Call) -> Code:
        axis = normalize_axis(at.op.axis, at.types[0].rank)
        return call(f"{np}.repeat", at.args[0], at.size(at.op.count), axis=literal(axis))

    @rules.rule("searchsorted")
    def _searchsorted(at: Call) -> Code | None:
        row, new = at.types
        if row.rank > 1 or new.rank > 1 or row.dtype is not new.dtype:
            return None
        return call(f"{np}.searchsorted", *at.args, **({"side": literal("right")} if at.op.right else {}))

    @rules.rule("topk")
    def _topk(at: Call) -> Code:
        options: dict[str, Code | str] = {"axis": literal(normalize_axis(at.op.axis, at.types[0].rank))}
        if not at.op.largest:
            options["largest"] = "False"
        return call(at.use("topk"), at.args[0], at.size(at.op.k), **options)

    @rules.rule("resize")
    def _resize(at: Call) -> Code:
        mode = at.op.mode.removeprefix("bi")
        if mode == "nearest":
            return call(at.use("resize"), at.args[0], at.shape(at.op.size))
        return call(at.use("resize"), as_float(at), at.shape(at.op.size), literal(mode))

    @rules.rule("random_bits")
    def _random_bits(at: Call) -> Code:
        return call(at.use("random_bits"), at.args[0], at.path(at.op.path), at.shape(at.op.shape))

    @rules.rule("random_bernoulli")
    def _random_bernoulli(at: Call) -> Code:
        path, p = at.path(at.op.path), literal(at.op.p)
        return call(at.use("random_bernoulli"), at.args[0], path, p, at.shape(at.op.shape))

    @rules.rule(*_NORMALIZED)
    def _normalized(at: Call) -> Code:
        options: dict[str, Code | str] = {"groups": at.size(at.op.groups)} if at.op.name == "group_norm" else {}
        options |= {name: literal(getattr(at.op, name)) for name in ("causal", "scale", "eps") if _given(at, name)}
        return call(at.use(_NORMALIZED[at.op.name]), *promoted(at, np, at.results[0].dtype), **options)


def _given(at: Call, name: str) -> bool:
    """Whether an attribute has another value than its default."""
    op: Op = at.op
    default = getattr(type(op), name, None)
    return getattr(op, name, default) != default
