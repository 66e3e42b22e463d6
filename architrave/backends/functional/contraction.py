"""Rules for matrix products, which NumPy and jax.numpy write alike, and the reading of einsum equations."""

from __future__ import annotations

import string

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, infix, method
from architrave.backends.functional.dtypes import promoted


def add_contraction(rules: Rules, np: str) -> None:
    """Add the rules that write products as `@`."""

    @rules.rule("matmul")
    def _matmul(at: Call) -> Code:
        a, b = promoted(at, np)
        return infix(a, "@", b)


def linear(at: Call, np: str) -> Code:
    """`x @ weight.T + bias`."""
    x, weight, *bias = promoted(at, np)
    y = infix(x, "@", Code(f"{weight.atom}.T"))
    return infix(y, "+", bias[0]) if bias else y


def as_matmul(at: Call, np: str) -> Code | None:
    """An einsum of two operands as `a @ b` where turning the last two axes of either is all that it takes."""
    if len(at.args) != 2:
        return None
    (left, right), out = equation(at)
    if len(out) < 2 or len(right) < 2 or len(left) < 2:
        return None
    batch, row, column = out[:-2], out[-2], out[-1]
    summed = "".join(c for c in left if c not in out)
    a = _turned(left, batch + row + summed)
    matrix = right if len(right) > 2 else batch + right  # one matrix serves the whole batch
    b = _turned(matrix, batch + summed + column)
    if len(summed) != 1 or a is None or b is None:
        return None
    x, y = promoted(at, np)
    return infix(_transposed(x, left, a), "@", _transposed(y, right, b))


def equation(at: Call) -> tuple[list[str], str]:
    """The letters of each operand and of the result, an ellipsis written out as letters of its own."""
    inputs, out = at.op.equation.replace(" ", "").split("->")
    terms = inputs.split(",")
    free = [c for c in string.ascii_letters if c not in at.op.equation]
    most = max((t.rank - len(term) + 3 for term, t in zip(terms, at.types, strict=True) if "..." in term), default=0)
    letters = "".join(free[:most])
    shown: list[str] = []
    for term, t in zip(terms, at.types, strict=True):
        width = t.rank - len(term) + 3
        shown.append(term.replace("...", letters[most - width :] if width else ""))
    return shown, out.replace("...", letters)


def _turned(letters: str, wanted: str) -> bool | None:
    """Whether the last two letters must change places to be as wanted; None where that is not enough."""
    if letters == wanted:
        return False
    return True if letters[:-2] + letters[-1] + letters[-2] == wanted else None


def _transposed(x: Code, letters: str, turned: bool) -> Code:
    if not turned:
        return x
    return Code(f"{x.atom}.T") if len(letters) == 2 else method(x, "swapaxes", "-1", "-2")
