"""Sums of products: matrix products, `einsum`, linear layers. Convolutions are in `conv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from string import ascii_letters
from typing import TYPE_CHECKING, TypeVar

from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import conjugate
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Equal
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes, Axis
    from architrave.ir.axes.relations import Relations


class Matmul(Op):
    """The matrix product of the last two axes; axes before them broadcast.

    A vector on the left is a row, on the right a column, and the axis that this adds is gone from the result.
    """

    vanishes = "linear"

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.numeric("`matmul`", a, b)
        checks.at_least("the left side of `matmul`", a, 1)
        checks.at_least("the right side of `matmul`", b, 1)
        inner = -2 if b.rank > 1 else -1
        checks.same(
            "the inner sizes of a matrix product",
            a.shape[-1],
            f"the last axis of {a}",
            b.shape[inner],
            f"axis {inner} of {b}",
        )
        lead = broadcast(a.shape[:-2], b.shape[:-2])
        rows, columns = a.shape[-2:-1], b.shape[-1:] if b.rank > 1 else ()
        return TensorType(promote(a.dtype, b.dtype), (*lead, *rows, *columns))

    def reference(self, a: Array, b: Array) -> Array:
        return np.asarray(np.matmul(a, b))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        left, right = _matrix(a, a.rank == 1, 0), _matrix(b, b.rank == 1, 1)
        rows = () if a.rank == 1 else a.shape[-2:-1]
        columns = () if b.rank == 1 else b.shape[-1:]
        lead = g.shape[: g.rank - len(rows) - len(columns)]
        g = _shaped(g, (*lead, *(rows or (1,)), *(columns or (1,))))
        left, right = conjugate(left), conjugate(right)
        by_a = apply(Matmul(), g, _turned(right))
        if right.rank == 2:
            # One product, instead of one for each matrix on the left and their sum.
            left, g = (_shaped(v, (product(v.shape[:-1]), v.shape[-1])) for v in (left, g))
        by_b = apply(Matmul(), _turned(left), g)
        by_a = _shaped(by_a, (*by_a.shape[:-2], by_a.shape[-1])) if a.rank == 1 else by_a
        return by_a, _shaped(by_b, by_b.shape[:-1]) if b.rank == 1 else by_b

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    def relate(self, relations: Relations, a: Axes, b: Axes) -> Related:
        inner = b[max(len(b) - 2, 0)]
        relations.same(a[-1], inner)
        relations.summed(inner, 0, 1)
        lead = relations.broadcast(a[:-2], b[:-2])
        return ((*lead, *a[-2:-1], *(b[-1:] if len(b) > 1 else ())),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [3, 4])
        yield sample([5, 1, 2, 3], [4, 3, 1])
        yield sample([3], [3])
        yield sample([3], [2, 3, 4])
        yield sample([2, 2, 3], [3])
        yield sample([0, 3], [3, 4])
        yield sample([2, 0], [0, 4])
        yield sample(typed(DType.I32, 2, 3), typed(DType.I32, 3, 2))
        yield sample(typed(DType.COMPLEX, 2, 3), typed(DType.COMPLEX, 5, 3, 2))
        yield sample([2, 2, 3], typed(DType.COMPLEX, 3))
        yield sample([2, 3], [4, 3], error="E305")
        yield sample([2, 2, 3], [4, 3, 2], error="E301")
        yield sample([], [3], error="E304")
        yield sample(typed(DType.BOOL, 2, 2), typed(DType.BOOL, 2, 2), error="E303")


class Einsum(Op):
    """Einstein's sum: `"nhtd,nhsd->nhts"`. One letter for an axis, `...` for axes that broadcast.

    A letter that is missing on the right is summed over; a letter twice in an operand takes its diagonal.
    """

    vanishes = "linear"

    equation: str

    def infer(self, *xs: TensorType) -> TensorType:
        checks.numeric("`einsum`", *xs)
        inputs, output = terms(self.equation)
        if len(inputs) != len(xs):
            raise error("E308", f'"{self.equation}" is for {len(inputs)} operands, not {len(xs)}')
        sizes: dict[str, Size] = {}
        hidden: list[tuple[Size, ...]] = []
        for term, x in zip(inputs, xs, strict=True):
            letters, shape, rest = self._matched(term, x)
            hidden.append(rest)
            for letter, size in zip(letters, shape, strict=True):
                known = sizes.setdefault(letter, size)
                checks.same(f'the sizes of `{letter}` in "{self.equation}"', known, "one place", size, f"{x}")
        ellipsis = broadcast(*hidden)
        result: list[Size] = []
        for part in output:
            result += ellipsis if part == "..." else [sizes[part]]
        return TensorType(reduce(promote, (x.dtype for x in xs)), tuple(result))

    def reference(self, *xs: Array) -> Array:
        return np.asarray(np.einsum(self.equation, *xs))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        factors = [*map(conjugate, operands)]
        return [_by_operand(self.equation, factors, i, cotangents[0]) for i in range(len(operands))]

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        """Every combination of letters, times the multiplications in one product; 0 for one operand."""
        inputs, _ = terms(self.equation)
        sizes: dict[str, Size] = {}
        hidden: list[tuple[Size, ...]] = []
        for term, x in zip(inputs, operands, strict=True):
            letters, shape, rest = self._matched(term, x)
            hidden.append(rest)
            sizes.update(zip(letters, shape, strict=True))
        return product(sizes.values()) * product(broadcast(*hidden)) * (len(operands) - 1)

    def _matched(self, term: Term, x: TensorType) -> tuple[list[str], list[Size], tuple[Size, ...]]:
        """The letters of a term, their sizes in `x`, and the shape that `...` stands for. Raises E308."""
        count = len(term) - ("..." in term)
        if x.rank < count or (x.rank > count and "..." not in term):
            raise error("E308", f'`{"".join(term)}` in "{self.equation}" names {count} axes, but the operand is {x}')
        return _matched(term, x.shape)

    def relate(self, relations: Relations, *xs: Axes) -> Related:
        inputs, output = terms(self.equation)
        found: dict[str, Axis] = {}
        holders: dict[str, list[int]] = {}
        hidden: list[Axes] = []
        for position, (term, x) in enumerate(zip(inputs, xs, strict=True)):
            letters, axes, rest = _matched(term, x)
            hidden.append(rest)
            for letter, axis in zip(letters, axes, strict=True):
                found[letter] = relations.same(found.get(letter, axis), axis)
                holders.setdefault(letter, []).append(position)
        for letter in found.keys() - set(output):
            relations.summed(found[letter], *holders[letter])
        ellipsis = relations.broadcast(*hidden)
        return (tuple(axis for part in output for axis in (ellipsis if part == "..." else (found[part],))),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [3, 4], equation="ij,jk->ik")
        yield sample([2, 2, 5, 3], [2, 2, 4, 3], equation="nhtd,nhsd->nhts")
        yield sample([2, 5, 3], [4, 3], equation="...i,oi->...o")
        yield sample([2, 1, 3], [5, 3], equation="...i,...i->...")
        yield sample([3], [4], equation="i,j->ij")
        yield sample([2, 3], [3], [2], equation="ij,j,i->")
        yield sample([2, 3], equation="ij->ji")
        yield sample([3, 3], equation="ii->i")
        yield sample([0, 3], [3, 4], equation="ij,jk->ik")
        yield sample(typed(DType.I64, 2, 3), typed(DType.I64, 3), equation="ij,j->i")
        yield sample(typed(DType.COMPLEX, 2, 3), typed(DType.COMPLEX, 3, 4), equation="ij,jk->ik")
        yield sample([2, 3], typed(DType.COMPLEX, 3, 3), equation="ij,jj->i")
        yield sample([2, 3], [4, 5], equation="ij,jk->ik", error="E305")
        yield sample([2, 3], equation="ij,jk->ik", error="E308")
        yield sample([2, 3], equation="i->i", error="E308")
        yield sample([2, 3], equation="ij->ik", error="E308")
        yield sample([2, 3], equation="ij->ii", error="E308")
        yield sample([2, 3], equation="ij", error="E308")
        yield sample([2, 3], equation="i..j->ij", error="E308")
        yield sample([2, 3], equation="ij->...ij", error="E308")
        yield sample(typed(DType.BOOL, 2), equation="i->", error="E303")


class Linear(Op):
    """`x @ weight.T + bias` on the last axis: x [..., I], weight [O, I], bias [O] -> [..., O]."""

    def infer(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        checks.numeric("`linear`", x, weight)
        checks.at_least("the operand of `linear`", x, 1)
        checks.ranked("the weight of `linear`", weight, 2, "[out, in]")
        out, width = weight.shape
        checks.same("the sizes of `linear`", x.shape[-1], f"the last axis of {x}", width, f"the weight {weight}")
        dtype = promote(x.dtype, weight.dtype)
        if bias is not None:
            checks.ranked("the bias of `linear`", bias, 1, "[out]")
            checks.same("the sizes of `linear`", bias.shape[0], f"the bias {bias}", out, f"the weight {weight}")
            dtype = promote(dtype, bias.dtype)
        return TensorType(dtype, (*x.shape[:-1], out))

    def expand(self, x: Value, weight: Value, bias: Value | None = None) -> Value:
        y = apply(Einsum("...i,oi->...o"), x, weight)
        return y if bias is None else y + bias

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        x, weight = map(conjugate, operands[:2])
        by_x = apply(Matmul(), cotangents[0], weight)
        rows, g = (_shaped(v, (product(v.shape[:-1]), v.shape[-1])) for v in (x, cotangents[0]))
        return (by_x, apply(Matmul(), _turned(g), rows), g)[: len(operands)]

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [4, 3], [4])
        yield sample([2, 5, 3], [4, 3])
        yield sample([3], [1, 3], [1])
        yield sample([0, 3], [4, 3], [4])
        yield sample([2, 3], [3, 4], error="E305")
        yield sample([2, 3], [4, 3], [3], error="E305")
        yield sample([2, 3], [3], error="E304")
        yield sample([], [4, 3], error="E304")


Term = tuple[str, ...]


def terms(equation: str) -> tuple[list[Term], Term]:
    """The terms of an equation: letters and `...`. Raises E308."""
    left, arrow, right = equation.partition("->")
    if not arrow:
        raise _malformed(equation, "it needs an arrow `->` before the result")
    inputs = [_term(equation, text) for text in left.split(",")]
    output = _term(equation, right)
    known = {part for term in inputs for part in term}
    for part in output:
        if part not in known:
            raise _malformed(equation, f"`{part}` stands in the result, but in no operand")
        if output.count(part) > 1:
            raise _malformed(equation, f"`{part}` stands twice in the result")
    if "..." in known and "..." not in output:
        raise _malformed(equation, "the axes of `...` are missing in the result")
    return inputs, output


def _term(equation: str, text: str) -> Term:
    parts: list[str] = []
    for position, piece in enumerate(text.split("...")):
        parts += ["..."] * (position > 0)
        parts += piece.replace(" ", "")
    bad = next((part for part in parts if part != "..." and not (part.isascii() and part.isalpha())), None)
    if bad is not None:
        raise _malformed(equation, f"`{bad}` is not a letter")
    if parts.count("...") > 1:
        raise _malformed(equation, "`...` stands twice in one operand")
    return tuple(parts)


_Along = TypeVar("_Along")


def _matched(term: Term, along: Sequence[_Along]) -> tuple[list[str], list[_Along], tuple[_Along, ...]]:
    """The letters of a term, what each stands for of the axes of its operand, and what `...` stands for."""
    letters = [part for part in term if part != "..."]
    if "..." not in term:
        return letters, [*along], ()
    start, extra = term.index("..."), len(along) - len(letters)
    return letters, [*along[:start], *along[start + extra :]], tuple(along[start : start + extra])


def _malformed(equation: str, why: str) -> Exception:
    return error("E308", f'"{equation}" is not an equation for `einsum`: {why}', hint='one looks like "ij,jk->ik"')


def _shaped(x: Value, shape: tuple[Size, ...]) -> Value:
    return x if x.shape == shape else apply(Reshape(shape), x)


def _matrix(x: Value, vector: bool, axis: int) -> Value:
    """A vector as a row (axis 0) or as a column (axis 1)."""
    if not vector:
        return x
    return _shaped(x, (1, x.shape[0]) if axis == 0 else (x.shape[0], 1))


def _turned(x: Value) -> Value:
    """The transposes of matrices."""
    return apply(Transpose((*range(x.rank - 2), x.rank - 1, x.rank - 2)), x)


def _by_operand(equation: str, operands: Sequence[Value], position: int, g: Value) -> Value:
    """The gradient of an `einsum` by one operand: an `einsum` of what flows back and the other operands.

    Axes of `...` get letters. Axes of size 1 that broadcast are left out, and so are letters that stand in one operand
    alone: what flows back to them is the same all along them, as size 1 in the result says.
    """
    inputs, output = terms(equation)
    hidden = g.rank - sum(part != "..." for part in output)
    letters = [c for c in ascii_letters if c not in equation]
    ellipsis, spare = letters[:hidden], letters[hidden:]
    wanted = dict(zip(_lettered(output, ellipsis, hidden), g.shape, strict=True))
    named: list[tuple[list[str], Value]] = [(list(wanted), g)]
    own: list[str] = []
    for i, (term, x) in enumerate(zip(inputs, operands, strict=True)):
        axes = _lettered(term, ellipsis, x.rank - sum(part != "..." for part in term))
        kept = [c not in wanted or size == wanted[c] for c, size in zip(axes, x.shape, strict=True)]
        if i == position:
            own = [c if keep else "" for c, keep in zip(axes, kept, strict=True)]
            continue
        shape = tuple(size for size, keep in zip(x.shape, kept, strict=True) if keep)
        named.append(([c for c, keep in zip(axes, kept, strict=True) if keep], _shaped(x, shape)))
    known = {c for axes, _ in named for c in axes}
    own = [c if c in known else "" for c in own]
    result = [c for c in own if c]
    for i, c in enumerate(result):
        if c in result[:i]:
            # A diagonal: what flows back to it stands on it, with zeros beside it.
            result[i] = spare.pop()
            named.append(([c, result[i]], _identity(operands[position].shape[own.index(c)], g)))
    own = [result.pop(0) if c else "" for c in own]
    target = "".join(own)
    text = ",".join("".join(axes) for axes, _ in named)
    y = apply(Einsum(f"{text}->{target}"), *(x for _, x in named))
    shape = operands[position].shape
    return _shaped(y, tuple(size if c else 1 for c, size in zip(own, shape, strict=True)))


def _lettered(term: Term, ellipsis: Sequence[str], hidden: int) -> list[str]:
    """The letters of a term, those of `...` counted from its end."""
    axes: list[str] = []
    for part in term:
        axes += ellipsis[len(ellipsis) - hidden :] if part == "..." else [part]
    return axes


def _identity(size: Size, like: Value) -> Value:
    places = apply(Arange(size))
    return apply(Cast(like.dtype), apply(Equal(), _shaped(places, (size, 1)), places))
