"""`rearrange`, `reduce` and `repeat` by pattern, as in einops: one way of moving axes.

Rogozhnikov, "Einops: Clear and Reliable Tensor Manipulations with Einstein-like Notation" (2022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from architrave.dsl.elaborate.builtins.patterns import Axis, Group, Pattern, two_sides
from architrave.dsl.elaborate.builtins.registry import builtin, tensor
from architrave.dsl.elaborate.conversions import to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op, describe
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value
from architrave.ir.source import Span, error

_REDUCTIONS = frozenset({"sum", "mean", "max", "min", "prod", "any", "all", "logsumexp"})


@builtin("rearrange")
def _rearrange(frame: Frame, span: Span, x: Any, text: Any, **given: Any) -> Value:
    return _moved("rearrange", x, text, given, span)


@builtin("reduce")
def _reduce(frame: Frame, span: Span, x: Any, text: Any, by: Any, **given: Any) -> Value:
    kind = by.name if isinstance(by, Builtin) else by if isinstance(by, str) else ""
    if kind not in _REDUCTIONS:
        raise error("E227", f"`reduce` takes one of {', '.join(sorted(_REDUCTIONS))}, not {describe(by)}", span)
    return _moved("reduce", x, text, given, span, reduction=kind)


@builtin("repeat")
def _repeat(frame: Frame, span: Span, x: Any, text: Any, **given: Any) -> Value:
    return _moved("repeat", x, text, given, span, widens=True)


def _moved(
    name: str,
    x: Any,
    text: Any,
    given: Mapping[str, Any],
    span: Span,
    *,
    reduction: str | None = None,
    widens: bool = False,
) -> Value:
    """Split the axes, reduce those that are gone, order the others, widen the new ones, join them again."""
    x = tensor(x, span, name)
    lengths = _lengths(given, span)
    pattern, left, right = two_sides(text, span, name)
    left, sizes = _sizes(x, left, pattern, lengths)
    right = _spelt_like(right, left)
    _must_agree(pattern, left, right, new=widens, gone=reduction is not None, lengths=lengths)
    before, after = [a.name for a in _axes(left)], [a.name for a in _axes(right)]
    parts = _reshaped(x, tuple(sizes[n] for n in before))
    gone = tuple(i for i, n in enumerate(before) if n not in after)
    reduced = apply_op(reduction, parts, axes=gone, keep=False) if reduction and gone else parts
    kept = [n for n in before if n in after]
    ordered = _transposed(reduced, tuple(kept.index(n) for n in after if n in kept))
    opened = _reshaped(ordered, tuple(sizes[n] if n in kept else 1 for n in after))
    wide = tuple(sizes[n] for n in after)
    widened = opened if opened.shape == wide else apply_op("expand", opened, shape=wide)
    return _reshaped(widened, _shape(right, sizes))


def _sizes(
    x: Value, left: list[Group], pattern: Pattern, lengths: Mapping[str, Size]
) -> tuple[list[Group], dict[str, Size]]:
    """The left side with `...` spelt out, and the length of every axis."""
    left = _spelt(left, x.rank, pattern, "the tensor")
    if len(left) != x.rank:
        raise pattern.wrong(
            f"the left side has {len(left)} axes and the tensor {x.type} has {x.rank}", 0, pattern.text.find("->")
        )
    sizes: dict[str, Size] = dict(lengths)
    for group, size in zip(left, x.shape, strict=True):
        unknown = [a for a in group if a.name not in sizes and a.name != "1"]
        known = product(sizes.get(a.name, 1) for a in group)
        at, end = (group[0].at, group[-1].at + len(group[-1].name)) if group else (0, 1)
        if len(unknown) > 1:
            names = " and ".join(f"`{a.name}`" for a in unknown)
            raise pattern.wrong(
                f"the lengths of {names} are both unknown",
                at,
                end - at,
                hint=f"say one, such as `{unknown[0].name} = 8`",
            )
        rest = divide(size, known) if known != 0 else None
        written = pattern.text[at:end]
        if not unknown and rest != 1:
            raise pattern.wrong(f"`{written}` is {known} long in the pattern and {size} in {x.type}", at, end - at)
        if rest is None:
            others = " ".join(a.name for a in group if a not in unknown)
            what = f"`{written}` is {size} long, which `{others}` = {known} does not divide"
            raise pattern.wrong(what, at, end - at)
        if unknown:
            sizes[unknown[0].name] = rest
    return left, sizes


def _spelt(groups: list[Group], rank: int, pattern: Pattern, what: str) -> list[Group]:
    """`...` replaced by as many axes of their own as are left."""
    places = [i for i, g in enumerate(groups) if any(a.name == "..." for a in g)]
    if not places:
        return groups
    (place,) = places
    if len(groups[place]) > 1:
        raise pattern.wrong("`...` stands alone, outside of a group", groups[place][0].at)
    missing = rank - len(groups) + 1
    if missing < 0:
        raise pattern.wrong(f"{what} has {rank} axes, fewer than the pattern names")
    filled: list[Group] = [(Axis(f"...{i}", groups[place][0].at),) for i in range(missing)]
    return groups[:place] + filled + groups[place + 1 :]


def _spelt_like(right: list[Group], left: list[Group]) -> list[Group]:
    extra = [a for g in left for a in g if a.name.startswith("...")]
    result: list[Group] = []
    for group in right:
        if len(group) == 1 and group[0].name == "...":
            result += [(a,) for a in extra]
        else:
            result.append(tuple(a for axis in group for a in (extra if axis.name == "..." else [axis])))
    return result


def _lengths(given: Mapping[str, Any], span: Span) -> dict[str, Size]:
    return {name: to_size(value, span, f"the length of `{name}`") for name, value in given.items()}


def _axes(groups: Sequence[Group]) -> list[Axis]:
    return [a for g in groups for a in g if a.name != "1"]


def _shape(groups: Sequence[Group], sizes: Mapping[str, Size]) -> tuple[Size, ...]:
    return tuple(product(sizes.get(a.name, 1) for a in g) for g in groups)


def _reshaped(x: Value, shape: tuple[Size, ...]) -> Value:
    return x if x.shape == shape else apply_op("reshape", x, shape=shape)


def _transposed(x: Value, order: tuple[int, ...]) -> Value:
    return x if order == tuple(range(x.rank)) else apply_op("transpose", x, axes=order)


def _must_agree(
    pattern: Pattern, left: list[Group], right: list[Group], *, new: bool, gone: bool, lengths: Mapping[str, Size]
) -> None:
    """Every axis stands on both sides, but for those that may be new or gone."""
    names = {a.name for a in _axes(left)}, {a.name for a in _axes(right)}
    for axis in _axes(right):
        if axis.name not in names[0] and not (new and axis.name in lengths):
            hint = f"say its length, `{axis.name} = 4`" if new else "`repeat` adds axes"
            raise pattern.wrong(f"`{axis.name}` does not stand on the left", axis.at, len(axis.name), hint=hint)
    for axis in _axes(left):
        if axis.name not in names[1] and not gone:
            raise pattern.wrong(
                f"`{axis.name}` does not stand on the right", axis.at, len(axis.name), hint="`reduce` removes axes"
            )
    for name in lengths:
        if name not in names[0] | names[1]:
            raise pattern.wrong(f"the pattern has no axis `{name}`")
