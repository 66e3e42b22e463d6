"""`rearrange`, `reduce`, `repeat` and `einsum` by pattern, as in einops; an error points into the pattern.

Rogozhnikov, "Einops: Clear and Reliable Tensor Manipulations with Einstein-like Notation" (2022).
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.dsl.elaborate.builtins.registry import builtin, tensor
from architrave.dsl.elaborate.conversions import to_size
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op, describe
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value
from architrave.ir.source import ArchitraveError, Note, Span, error

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*|\d+)|(?P<mark>\.\.\.|[()]))")
_REDUCTIONS = frozenset({"sum", "mean", "max", "min", "prod", "any", "all", "logsumexp"})


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a pattern: a name, `1` for an axis of length 1, or `...`; `at` is its offset."""

    name: str
    at: int


Group = tuple[Axis, ...]


class Pattern:
    """A pattern's text and where it stands, so that errors can point into it."""

    def __init__(self, text: str, span: Span) -> None:
        self.text = text
        self.span = span

    def wrong(self, message: str, at: int = 0, length: int | None = None, hint: str | None = None) -> ArchitraveError:
        """An error that points at `length` characters from offset `at`."""
        end = at + (len(self.text) - at if length is None else length)
        source = self.span.text
        inside = self.span.within(1 + at, 1 + end) if source[1:-1] == self.text else self.span
        notes = [Note(f'the pattern is "{self.text[:80]}"')] if inside is self.span else []
        return error("E280", message, inside, notes=notes, hint=hint)

    def side(self, start: int, stop: int) -> list[Group]:
        """The axes between two offsets, each in its group; a single axis is a group of one."""
        groups: list[Group] = []
        inside: list[Axis] | None = None
        opened = position = start
        while self.text[position:stop].strip():
            match = _TOKEN.match(self.text, position, stop)
            if match is None:
                at = position + len(self.text[position:stop]) - len(self.text[position:stop].lstrip())
                raise self.wrong(f"`{self.text[at]}` cannot stand in a pattern", at, 1)
            position = match.end()
            token = match[match.lastgroup or 0]
            at = position - len(token)
            if token == "(":
                if inside is not None:
                    raise self.wrong("groups do not nest", at, 1)
                inside, opened = [], at
            elif token == ")":
                if inside is None:
                    raise self.wrong("`)` closes nothing", at, 1)
                groups.append(tuple(inside))
                inside = None
            else:
                axis = Axis(token, at)
                groups.append((axis,)) if inside is None else inside.append(axis)
        if inside is not None:
            raise self.wrong("`(` is never closed", opened, 1)
        return groups

    def checked(self, groups: list[Group]) -> list[Group]:
        """The groups, if no axis stands twice on this side."""
        seen: set[str] = set()
        for axis in (a for g in groups for a in g):
            if axis.name in seen and axis.name != "1":
                raise self.wrong(f"`{axis.name}` stands twice on one side", axis.at, len(axis.name))
            if axis.name.isdigit() and axis.name != "1":
                raise self.wrong("an axis has a name, or is 1", axis.at, len(axis.name))
            seen.add(axis.name)
        return groups


def _two_sides(text: Any, span: Span, name: str) -> tuple[Pattern, list[Group], list[Group]]:
    if not isinstance(text, str):
        raise error("E227", f"`{name}` takes a pattern, not {describe(text)}", span)
    pattern = Pattern(text, _string_span(text, span))
    arrow = text.find("->")
    if arrow < 0:
        raise pattern.wrong("a pattern has `->` between its sides", hint="such as `n c -> c n`")
    if text.find("->", arrow + 2) >= 0:
        raise pattern.wrong("a pattern has one `->`", text.find("->", arrow + 2), 2)
    left = pattern.checked(pattern.side(0, arrow))
    return pattern, left, pattern.checked(pattern.side(arrow + 2, len(text)))


def _string_span(text: str, span: Span) -> Span:
    """Where the pattern stands inside the call."""
    at = span.text.find(f'"{text}"')
    return span if at < 0 else span.within(at, at + len(text) + 2)


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


@builtin("rearrange")
def _rearrange(frame: Frame, span: Span, x: Any, text: Any, **given: Any) -> Value:
    x = tensor(x, span, "rearrange")
    lengths = _lengths(given, span)
    pattern, left, right = _two_sides(text, span, "rearrange")
    left, sizes = _sizes(x, left, pattern, lengths)
    right = _spelt_like(right, left)
    _must_agree(pattern, left, right, new=False, gone=False, lengths=lengths)
    before, after = [a.name for a in _axes(left)], [a.name for a in _axes(right)]
    parts = _reshaped(x, tuple(sizes[n] for n in before))
    return _reshaped(_transposed(parts, tuple(before.index(n) for n in after)), _shape(right, sizes))


@builtin("reduce")
def _reduce(frame: Frame, span: Span, x: Any, text: Any, by: Any, **given: Any) -> Value:
    x = tensor(x, span, "reduce")
    kind = by.name if isinstance(by, Builtin) else by if isinstance(by, str) else ""
    if kind not in _REDUCTIONS:
        raise error("E227", f"`reduce` takes one of {', '.join(sorted(_REDUCTIONS))}, not {describe(by)}", span)
    lengths = _lengths(given, span)
    pattern, left, right = _two_sides(text, span, "reduce")
    left, sizes = _sizes(x, left, pattern, lengths)
    right = _spelt_like(right, left)
    _must_agree(pattern, left, right, new=False, gone=True, lengths=lengths)
    before, after = [a.name for a in _axes(left)], [a.name for a in _axes(right)]
    parts = _reshaped(x, tuple(sizes[n] for n in before))
    gone = tuple(i for i, n in enumerate(before) if n not in after)
    left_over = [n for n in before if n in after]
    reduced = apply_op(kind, parts, axes=gone, keep=False) if gone else parts
    return _reshaped(_transposed(reduced, tuple(left_over.index(n) for n in after)), _shape(right, sizes))


@builtin("repeat")
def _repeat(frame: Frame, span: Span, x: Any, text: Any, **given: Any) -> Value:
    x = tensor(x, span, "repeat")
    lengths = _lengths(given, span)
    pattern, left, right = _two_sides(text, span, "repeat")
    left, sizes = _sizes(x, left, pattern, lengths)
    right = _spelt_like(right, left)
    _must_agree(pattern, left, right, new=True, gone=False, lengths=lengths)
    before, after = [a.name for a in _axes(left)], [a.name for a in _axes(right)]
    parts = _reshaped(x, tuple(sizes[n] for n in before))
    moved = _transposed(parts, tuple(before.index(n) for n in after if n in before))
    opened = _reshaped(moved, tuple(sizes[n] if n in before else 1 for n in after))
    wide = tuple(sizes[n] for n in after)
    return _reshaped(opened if opened.shape == wide else apply_op("expand", opened, shape=wide), _shape(right, sizes))


@builtin("einsum")
def _einsum(frame: Frame, span: Span, *operands: Any) -> Value:
    *tensors, text = operands or (None,)
    if not isinstance(text, str):
        raise error("E227", f"`einsum` takes its pattern last, not {describe(text)}", span)
    values = [tensor(t, span, "einsum") for t in tensors]
    pattern = Pattern(text, _string_span(text, span))
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
