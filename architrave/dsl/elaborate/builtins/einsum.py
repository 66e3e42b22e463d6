"""`einsum` by pattern, with axes of any name: `einsum(q, k, "n h t d, n h s d -> n h t s")`."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from architrave.dsl.elaborate.builtins.patterns import Axis, Pattern, string_span
from architrave.dsl.elaborate.builtins.registry import builtin, tensor
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir.dims import Size
from architrave.ir.graph import Value
from architrave.ir.source import Span, error


@builtin("einsum")
def _einsum(frame: Frame, span: Span, *operands: Any) -> Value:
    *tensors, text = operands or (None,)
    if not isinstance(text, str):
        raise error("E227", f"`einsum` takes its pattern last, not {describe(text)}", span)
    values = [tensor(t, span, "einsum") for t in tensors]
    pattern = Pattern(text, string_span(text, span))
    arrow = text.find("->")
    if arrow < 0:
        raise pattern.wrong("a pattern has `->` between its sides")
    starts = [0, *(i + 1 for i, c in enumerate(text[:arrow]) if c == ",")]
    stops = [*(i for i, c in enumerate(text[:arrow]) if c == ","), arrow]
    if len(starts) != len(values):
        given = "1 is" if len(values) == 1 else f"{len(values)} are"
        raise pattern.wrong(f"the pattern has {len(starts)} operands, and {given} given", 0, arrow)
    letters: dict[str, str] = {}
    sizes: dict[str, tuple[Size, Axis]] = {}
    sides = [_einsum_side(pattern, a, b, letters) for a, b in zip(starts, stops, strict=True)]
    for axes, value in zip(sides, values, strict=True):
        _check_einsum(pattern, axes, value, sizes)
    known = set(letters)
    result = _einsum_side(pattern, arrow + 2, len(text), letters)
    for axis in result:
        if axis.name not in known:
            raise pattern.wrong(f"`{axis.name}` stands in no operand", axis.at, len(axis.name))
    left = ",".join("".join(letters[a.name] for a in axes) for axes in sides)
    return apply_op("einsum", *values, equation=f"{left}->{''.join(letters[a.name] for a in result)}")


def _einsum_side(pattern: Pattern, start: int, stop: int, letters: dict[str, str]) -> list[Axis]:
    groups = pattern.side(start, stop)
    axes: list[Axis] = []
    for group in groups:
        if len(group) != 1:
            raise pattern.wrong("einsum has no groups", group[0].at if group else start, hint="`rearrange` first")
        axes.append(group[0])
        letters.setdefault(group[0].name, "..." if group[0].name == "..." else _letter(group[0], letters, pattern))
    return axes


def _letter(axis: Axis, letters: Mapping[str, str], pattern: Pattern) -> str:
    if axis.name.isdigit():
        raise pattern.wrong("an axis of einsum has a name", axis.at, len(axis.name))
    taken = set(letters.values())
    wanted = [axis.name[0], *string.ascii_letters]
    free: str | None = next((c for c in wanted if c.isascii() and c.isalpha() and c not in taken), None)
    if free is None:
        raise pattern.wrong("einsum takes at most 52 axes", axis.at, len(axis.name))
    return free


def _check_einsum(pattern: Pattern, axes: list[Axis], value: Value, sizes: dict[str, tuple[Size, Axis]]) -> None:
    has_rest = any(a.name == "..." for a in axes)
    if len(axes) - has_rest > value.rank or (not has_rest and len(axes) != value.rank):
        at = axes[0].at if axes else 0
        raise pattern.wrong(
            f"{len(axes) - has_rest} axes are named and the tensor {value.type} has {value.rank}", at, 1
        )
    front = next((i for i, a in enumerate(axes) if a.name == "..."), len(axes))
    back = len(axes) - front - has_rest
    named = [
        *zip(axes[:front], value.shape, strict=False),
        *zip(axes[front + has_rest :], value.shape[value.rank - back :], strict=True),
    ]
    for axis, size in named:
        known, _ = sizes.setdefault(axis.name, (size, axis))
        if known != size:
            raise pattern.wrong(
                f"`{axis.name}` is {known} in one operand and {size} in another", axis.at, len(axis.name)
            )
