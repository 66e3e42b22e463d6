"""Axes of tensors, and what is known of how they hang together.

An `Axis` stands for the coordinates along one axis of one or many tensors. At first nothing is known of it but its
size. What operators say of it (`relations.py`) then makes it the same as another axis, the concatenation of others, or
their product in row-major order (an axis that `reshape` takes apart). What is left without such a form is a **leaf**:
a dimension of the network, whose coordinates can be cut away or permuted only wherever they occur.

    a linear layer's output that is split into heads     axis = heads x width
    the four gates of an LSTM                            axis = units + units + units + units, one leaf
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from architrave.ir.dims import Size, divide, product


@dataclass(frozen=True, eq=False)
class Same:
    """The axis is another one."""

    axis: Axis


@dataclass(frozen=True, eq=False)
class Joined:
    """The axis is others, one after the other."""

    parts: tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class Product:
    """The axis counts through others, the last one fastest."""

    factors: tuple[Axis, ...]


class Axis:
    """One dimension of a network, or what it is made of.

    `whole` says why no coordinate may be cut away, `ordered` why they may not be permuted; None where they may.
    """

    __slots__ = ("form", "ordered", "size", "whole")

    def __init__(self, size: Size, whole: str | None = None, ordered: str | None = None) -> None:
        self.size = size
        self.form: Same | Joined | Product | None = None
        self.whole = whole
        self.ordered = ordered

    def __repr__(self) -> str:
        return f"<axis of {self.size}>"


Axes = tuple[Axis, ...]
WINDOW = "moves a window over it"
"""Why the coordinates of a kernel must stay as they are."""


def resolved(axis: Axis) -> Axis:
    """The axis that stands for all that are the same."""
    first = axis
    while isinstance(axis.form, Same):
        axis = axis.form.axis
    while isinstance(first.form, Same) and first.form.axis is not axis:
        # The next look takes one step.
        first.form, first = Same(axis), first.form.axis
    return axis


def parts(axis: Axis) -> list[Axis]:
    """What the axis joins, down to what joins nothing; the axis itself where it joins nothing."""
    return _flat(axis, Joined)


def factors(axis: Axis) -> list[Axis]:
    """What the axis is the product of, down to what is no product."""
    return _flat(axis, Product)


def leaves(axis: Axis) -> Iterator[Axis]:
    """The dimensions that an axis is made of, each as often as it occurs, in order."""
    pending = [axis]
    while pending:
        axis = resolved(pending.pop())
        match axis.form:
            case Joined(parts=inner) | Product(factors=inner):
                pending += reversed(inner)
            case _:
                yield axis


def join(axes: Iterable[Axis]) -> Axis:
    """The concatenation of axes; those without coordinates are left out."""
    return _combined([a for a in axes if a.size != 0], Joined, 0)


def multiply(axes: Iterable[Axis]) -> Axis:
    """The product of axes, the last one fastest; those of size 1 are left out."""
    return _combined([a for a in axes if a.size != 1], Product, 1)


def keep_whole(axis: Axis, why: str) -> None:
    """No coordinate of the axis may be cut away."""
    for leaf in leaves(axis):
        leaf.whole = leaf.whole or why


def keep_order(axis: Axis, why: str) -> None:
    """The coordinates of the axis may not be permuted."""
    for leaf in leaves(axis):
        leaf.ordered = leaf.ordered or why


def fix(axis: Axis, why: str) -> None:
    """No coordinate of the axis may be cut away, or change its place."""
    keep_whole(axis, why)
    keep_order(axis, why)


def slides(axis: Axis) -> bool:
    """Whether the axis is that of a kernel, which is moved over another axis."""
    return (axis.ordered or "").endswith(WINDOW)


def same(a: Axis, b: Axis, why: str) -> None:
    """Two axes have the same coordinates. Where their forms cannot be brought together both are fixed: `why`."""
    pending = [(a, b)]
    while pending:
        a, b = map(resolved, pending.pop())
        if a is b:
            continue
        if a.form is None or b.form is None:
            _bind(*((a, b) if a.form is None else (b, a)))
            continue
        pairs = _aligned(a, b)
        if pairs is None:
            fix(a, why)
            fix(b, why)
            continue
        pending += pairs


def split(axis: Axis, at: int) -> tuple[Axis, Axis] | None:
    """The axis as what lies before a coordinate and what lies from there on; None where its form forbids that."""
    if not isinstance(axis.size, int):
        return None
    before: list[Axis] = []
    after = [*reversed(parts(axis))]
    passed = 0
    while passed < at:
        part = after.pop()
        if passed + _known(part) <= at:
            before.append(part)
            passed += _known(part)
            continue
        halves = _halves(part, at - passed)
        if halves is None:
            return None
        before.append(halves[0])
        after.append(halves[1])
        break
    return join(before), join(reversed(after))


def factored(axis: Axis, sizes: Sequence[Size]) -> list[Axis] | None:
    """The axis as a product of axes of these sizes; None where its form forbids that."""
    axis = resolved(axis)
    wanted = [s for s in sizes if s != 1]
    if wanted == [axis.size]:
        found: list[Axis] | None = [axis]
    elif axis.form is None:
        found = [Axis(size, axis.whole, axis.ordered) for size in wanted]
        axis.form = Product(tuple(found)) if found else None
    elif isinstance(axis.form, Joined):
        found = _factored_parts(axis, wanted)
    else:
        found = _factored_product(axis, wanted)
    if found is None:
        return None
    rest = iter(found)
    return [Axis(1) if size == 1 else next(rest) for size in sizes]


def _flat(axis: Axis, form: type[Joined] | type[Product]) -> list[Axis]:
    found: list[Axis] = []
    pending = [axis]
    while pending:
        axis = resolved(pending.pop())
        match axis.form:
            case Joined(parts=inner) | Product(factors=inner) if isinstance(axis.form, form):
                pending += reversed(inner)
            case _:
                found.append(axis)
    return found


def _combined(axes: list[Axis], form: type[Joined] | type[Product], nothing: int) -> Axis:
    if len(axes) == 1:
        return axes[0]
    if not axes:
        return Axis(nothing)
    sizes = [a.size for a in axes]
    combined = Axis(sum(sizes[1:], sizes[0]) if form is Joined else product(sizes))
    combined.form = form(tuple(axes))
    return combined


def _bind(leaf: Axis, axis: Axis) -> None:
    """A leaf becomes `axis`, which may be anything of its size; what holds of one then holds of both."""
    leaf.form = Same(axis)
    if leaf.whole:
        keep_whole(axis, leaf.whole)
    if leaf.ordered:
        keep_order(axis, leaf.ordered)


def _aligned(a: Axis, b: Axis) -> list[tuple[Axis, Axis]] | None:
    """What must be the same for two axes with forms to be the same; None where they cannot be brought together."""
    if isinstance(a.form, Product) and isinstance(b.form, Product):
        return _aligned_by(factors(a), factors(b), _first_factor)
    return _aligned_by(parts(a), parts(b), _first_part)


def _aligned_by(
    a: list[Axis], b: list[Axis], first: Callable[[list[Axis], Size], bool]
) -> list[tuple[Axis, Axis]] | None:
    """Pairs of equal sizes of two sequences, whose members are taken apart where they are longer than the other's."""
    pairs: list[tuple[Axis, Axis]] = []
    a.reverse()
    b.reverse()
    while a and b:
        if a[-1].size == b[-1].size:
            pairs.append((a.pop(), b.pop()))
            continue
        if not (first(a, b[-1].size) or first(b, a[-1].size)):
            return None
    return None if a or b else pairs


def _first_factor(axes: list[Axis], size: Size) -> bool:
    """Whether the last of `axes` could be taken apart into a factor of this size and the rest."""
    rest = divide(axes[-1].size, size)
    found = None if rest is None or rest == 1 else factored(axes[-1], (size, rest))
    return _replaced(axes, found)


def _first_part(axes: list[Axis], size: Size) -> bool:
    """Whether the last of `axes` could be taken apart into a part of this size and the rest."""
    whole = axes[-1].size
    fits = isinstance(size, int) and isinstance(whole, int) and size < whole
    return _replaced(axes, split(axes[-1], size) if fits else None)  # type: ignore[arg-type]  # an int where it fits


def _replaced(axes: list[Axis], found: Sequence[Axis] | None) -> bool:
    if found is None:
        return False
    axes[-1:] = reversed(found)
    return True


def _halves(part: Axis, at: int) -> tuple[Axis, Axis] | None:
    """A leaf or a product as two, before and from a coordinate."""
    if part.form is None:
        sizes = (at, _known(part) - at)
        halves = tuple(Axis(size, part.whole, part.ordered) for size in sizes)
        part.form = Joined(halves)
        return halves[0], halves[1]
    outer, *inner = factors(part)
    step = product(f.size for f in inner)
    if not isinstance(step, int) or at % step:
        return None
    found = split(outer, at // step)
    if found is None:
        return None
    before, after = (multiply((half, *inner)) for half in found)
    part.form = Joined((before, after))
    return before, after


def _factored_product(axis: Axis, sizes: Sequence[Size]) -> list[Axis] | None:
    have, found = [*reversed(factors(axis))], list[Axis]()
    for size in sizes:
        taken: list[Axis] = []
        left = size
        while left != 1:
            if not have:
                return None
            rest = divide(left, have[-1].size)
            if rest is not None:
                taken.append(have.pop())
                left = rest
            elif not _first_factor(have, left):
                return None
        found.append(multiply(taken))
    return None if have else found


def _factored_parts(axis: Axis, sizes: Sequence[Size]) -> list[Axis] | None:
    """Parts that are alike but for their first factor: `(a + b) x c`; or an axis of slices that are alike."""
    first, inner = sizes[0], product(sizes[1:])
    outers: list[Axis] = []
    blocks: list[Axis] = []
    for part in parts(axis):
        count = divide(part.size, inner)
        pair = None if count is None else factored(part, (count, inner))
        if pair is None:
            return _slices(axis, sizes)
        outers.append(pair[0])
        blocks.append(pair[1])
    for other in blocks[1:]:
        same(blocks[0], other, "parts of it are slices of one axis")
    rest = factored(blocks[0], sizes[1:])
    if rest is None:
        return None
    outer = join(outers)
    return [outer, *rest] if outer.size == first else None


def _slices(axis: Axis, sizes: Sequence[Size]) -> list[Axis] | None:
    """The axis as so many slices which are joined of the same parts: their number is fixed."""
    count, inner = sizes[0], product(sizes[1:])
    if not isinstance(count, int) or not isinstance(inner, int):
        return None
    rest, blocks = axis, list[Axis]()
    for _ in range(count - 1):
        halves = split(rest, inner)
        if halves is None:
            return None
        blocks.append(halves[0])
        rest = halves[1]
    for block in blocks:
        same(rest, block, "slices of it are one axis")
    inside = factored(rest, sizes[1:])
    why = "its slices are joined of others"
    return None if inside is None else [Axis(count, why, why), *inside]


def _known(axis: Axis) -> int:
    assert isinstance(axis.size, int), "an axis of a known size has parts of known sizes"
    return axis.size
