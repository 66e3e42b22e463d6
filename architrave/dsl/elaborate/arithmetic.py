"""Operators on static values and tensors."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.conversions import short_enough, to_condition, to_size
from architrave.dsl.elaborate.core import Frame, evaluate, evaluates, is_callable
from architrave.dsl.elaborate.kinds import is_number
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir import dims
from architrave.ir.dims import Dim, divide
from architrave.ir.graph import Value
from architrave.ir.source import ArchitraveError, Span, error
from architrave.ir.types import DType

BITS_LIMIT = 4096
"""How long an integer may become."""

_TENSOR = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder",
    "**": "power", "@": "matmul", "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal",
    ">": "greater", ">=": "greater_equal", "and": "logical_and", "or": "logical_or",
}  # fmt: skip
_STATIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: a / b, "//": lambda a, b: a // b,
    "%": operator.mod, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_COMPARISONS = frozenset({"<", "<=", ">", ">="})


@evaluates(syntax.Binary)
def _binary(node: syntax.Binary, frame: Frame) -> Any:
    sign = node.operator
    left = evaluate(node.left, frame)
    if sign in ("and", "or") and not isinstance(left, Value):
        if to_condition(left, node.left.span) is (sign == "or"):
            return left
        right = evaluate(node.right, frame)
        return right if isinstance(right, Value) else to_condition(right, node.right.span)
    return combine(sign, left, evaluate(node.right, frame), node.span, frame)


@evaluates(syntax.Unary)
def _unary(node: syntax.Unary, frame: Frame) -> Any:
    operand = evaluate(node.operand, frame)
    if node.operator == "not":
        if isinstance(operand, Value):
            frame.here(node.span)
            return apply_op("logical_not", operand)
        return not to_condition(operand, node.operand.span)
    if isinstance(operand, Value):
        frame.here(node.span)
        return apply_op("negative", operand) if node.operator == "-" else operand
    if is_number(operand) or isinstance(operand, Dim):
        return -operand if node.operator == "-" else operand
    raise error("E233", f"`{node.operator}` does not apply to {describe(operand)}", node.span)


def combine(sign: str, left: Any, right: Any, span: Span, frame: Frame) -> Any:
    """`left sign right`, of static values, of tensors, or of both."""
    if isinstance(left, Value) or isinstance(right, Value):
        return _tensors(sign, left, right, span, frame)
    frame.build.handle(left, span)
    frame.build.handle(right, span)
    if sign == "==":
        return _equal(left, right, span)
    if sign == "!=":
        return not _equal(left, right, span)
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _dimensions(sign, left, right, span, frame)
    if is_number(left) and is_number(right):
        return _numbers(sign, left, right, span)
    if sign == "+" and isinstance(left, list) and isinstance(right, list):
        return short_enough([*left, *right], span)  # pyright: ignore[reportUnknownArgumentType]
    if sign == "+" and isinstance(left, str) and isinstance(right, str) and len(left) + len(right) <= 10_000:
        return left + right
    raise _misfit(sign, left, right, span)


def _misfit(sign: str, left: Any, right: Any, span: Span) -> ArchitraveError:
    stage = is_callable(left) or is_callable(right)
    hint = "what waits for a tensor must be applied first: `f(x)`, or `x -> f`" if stage else None
    return error("E233", f"`{sign}` does not apply to {describe(left)} and {describe(right)}", span, hint=hint)


def _tensors(sign: str, left: Any, right: Any, span: Span, frame: Frame) -> Any:
    if (left is None or right is None) and sign in ("==", "!="):
        return sign == "!="
    for side in (left, right):
        if not isinstance(side, Value | Dim | bool) and not is_number(side):
            raise _misfit(sign, left, right, span)
    frame.here(span)
    try:
        return apply_op(_TENSOR[sign], as_operand(left), as_operand(right))
    except ArchitraveError as problem:
        raise with_hint(problem, shortcut(sign, left, right)) from None


def shortcut(sign: str, left: Any, right: Any) -> str | None:
    """What to add to the shortcut of a residual sum whose sides do not fit: the older side is the shortcut."""
    if sign not in ("+", "-") or not isinstance(left, Value) or not isinstance(right, Value) or left.rank != right.rank:
        return None
    old, new = sorted((left, right), key=lambda v: v.node.serial)
    if left.rank not in (3, 4, 5):
        return None if left.shape[:-1] != right.shape[:-1] else f"add `linear({new.shape[-1]})` to the shortcut"
    strides = {divide(a, b) for a, b in zip(old.shape[2:], new.shape[2:], strict=True)}
    if len(strides) != 1 or None in strides or old.shape[0] != new.shape[0]:
        return None
    (stride,) = strides
    options = "" if stride == 1 else f", stride = {stride}"
    return f"add `conv{left.rank - 2}d({new.shape[1]}, 1{options})` to the shortcut"


def with_hint(problem: ArchitraveError, hint: str | None) -> ArchitraveError:
    """The error with a hint, where it has none of its own."""
    return ArchitraveError([replace(d, hint=d.hint or hint) for d in problem.diagnostics])


def as_operand(value: Any) -> Any:
    """A dimension as a scalar tensor; anything else as it is."""
    return apply_op("full", value=value, shape=(), dtype=DType.I64) if isinstance(value, Dim) else value


def _equal(left: Any, right: Any, span: Span) -> bool:
    if isinstance(left, Dim) or isinstance(right, Dim):
        return _equal_sizes(left, right, span)
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    return bool(left == right)


def _equal_sizes(left: Any, right: Any, span: Span) -> bool:
    """Whether two values of which one is symbolic are equal. Raises E231 where that is not known yet."""
    if left == right:
        return True
    for value in (left, right):
        if not isinstance(value, Dim) and not (is_number(value) and (isinstance(value, int) or value.is_integer())):
            return False
    if isinstance(to_size(left, span) - to_size(right, span), int):
        return False
    raise _undecided(f"{left} == {right}", span)


def _undecided(condition: str, span: Span) -> Exception:
    return error(
        "E231",
        f"`{condition}` cannot be decided while building: a symbolic dimension is known only when the network runs",
        span,
        hint="give the model's input that dimension as a number",
    )


def _dimensions(sign: str, left: Any, right: Any, span: Span, frame: Frame) -> Any:
    if not all(isinstance(v, Dim) or is_number(v) for v in (left, right)):
        raise _misfit(sign, left, right, span)
    if sign in _COMPARISONS:
        difference = to_size(left, span) - to_size(right, span)
        if isinstance(difference, int):
            return _STATIC[sign](difference, 0)
        raise _undecided(f"{left} {sign} {right}", span)
    if isinstance(left, float) or isinstance(right, float):
        return _tensors(sign, _scalar(left, frame, span), _scalar(right, frame, span), span, frame)
    match sign:
        case "+" | "-" | "*":
            return _STATIC[sign](left, right)
        case "//":
            return dims.floor_div(left, right) if right != 0 else _zero(sign, span)
        case "%":
            return left - dims.floor_div(left, right) * right if right != 0 else _zero(sign, span)
        case "/":
            exact = dims.divide(left, right) if right != 0 else _zero(sign, span)
            if exact is not None:
                return exact
            return _tensors(sign, _scalar(left, frame, span), _scalar(right, frame, span), span, frame)
        case "**" if isinstance(right, int) and 0 <= right <= 8:
            return dims.product([left] * right)
        case _:
            raise _misfit(sign, left, right, span)


def _scalar(value: Any, frame: Frame, span: Span) -> Value:
    frame.here(span)
    return apply_op("full", value=value, shape=(), dtype=DType.FLOAT)


def _numbers(sign: str, left: Any, right: Any, span: Span) -> Any:
    if sign in ("/", "//", "%") and right == 0:
        return _zero(sign, span)
    try:
        result = _power(left, right, span) if sign == "**" else _STATIC[sign](left, right)
    except OverflowError:
        result = math.inf
    except KeyError:
        raise _misfit(sign, left, right, span) from None
    if isinstance(result, int) and result.bit_length() > BITS_LIMIT:
        raise error("E454", f"an integer may have {BITS_LIMIT} bits, not {result.bit_length()}", span)
    return result


def _power(base: Any, exponent: Any, span: Span) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * max(exponent, 0) > 4 * BITS_LIMIT:
        raise error(
            "E454", f"an integer may have {BITS_LIMIT} bits, and {_brief(base)} ** {_brief(exponent)} has more", span
        )
    if base == 0 and exponent < 0:
        return _zero("**", span)
    result = base**exponent
    if isinstance(result, complex):
        raise error("E234", f"{base} ** {exponent} is not a real number", span)
    return result


def _brief(number: int) -> str:
    return str(number) if number.bit_length() < 64 else "a long number"


def _zero(sign: str, span: Span) -> Any:
    raise error("E234", f"`{sign}` by zero", span)
