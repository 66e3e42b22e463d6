"""Rules for elementwise operators, which NumPy and jax.numpy write alike."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, literal, prefix
from architrave.backends.functional.dtypes import as_float, astype, promoted
from architrave.ir.types import DType, part_of

_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "remainder": "%",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
_CONNECTIVES = {"logical_and": "&", "logical_or": "|"}
_OF_TWO = ("maximum", "minimum")
_OF_FLOATS = ("exp", "log", "log1p", "expm1", "sqrt", "sin", "cos", "tan", "tanh", "isnan", "isfinite")
_PLAIN = {"0.0": "zeros", "1.0": "ones"}
_TO_WHOLE = {"floor": "floor", "ceil": "ceil", "round": "rint"}


def add_elementwise(rules: Rules, np: str) -> None:
    """Add the rules that write functions of the module `np`."""

    @rules.rule(*_INFIX, scalars=True)
    def _infix(at: Call) -> Code:
        a, b = promoted(at, np)
        return infix(a, _INFIX[at.op.name], b)

    @rules.rule("divide", scalars=True)
    def _divide(at: Call) -> Code:
        a, b = promoted(at, np, at.results[0].dtype)
        return infix(a, "/", b)

    @rules.rule(*_OF_TWO, scalars=True)
    def _of_two(at: Call) -> Code:
        return call(f"{np}.{at.op.name}", *promoted(at, np))

    @rules.rule("sign")
    def _sign(at: Call) -> Code:
        return call(f"{np}.sign", *at.args)

    @rules.rule("real", "imag")
    def _part(at: Call) -> Code:
        return Code(f"{at.args[0].atom}.{at.op.name}")

    @rules.rule("conj")
    def _conj(at: Call) -> Code:
        return call(f"{np}.conj", at.args[0])

    @rules.rule("complex")
    def _complex(at: Call) -> Code:
        return call(at.use("complex_of"), *promoted(at, np, part_of(at.results[0].dtype)))

    @rules.rule("negative")
    def _negative(at: Call) -> Code:
        return prefix("-", at.args[0])

    @rules.rule(*_OF_FLOATS)
    def _of_float(at: Call) -> Code:
        return call(f"{np}.{at.op.name}", as_float(at))

    @rules.rule(*_TO_WHOLE)
    def _to_whole(at: Call) -> Code:
        if at.types[0].dtype.is_integer:
            return at.args[0]
        return call(f"{np}.{_TO_WHOLE[at.op.name]}", at.args[0])

    @rules.rule(*_CONNECTIVES)
    def _connective(at: Call) -> Code:
        a, b = at.args
        return infix(a, _CONNECTIVES[at.op.name], b)

    @rules.rule("logical_not")
    def _not(at: Call) -> Code:
        return prefix("~", at.args[0])

    @rules.rule("where", scalars=True)
    def _where(at: Call) -> Code:
        condition, a, b = at.args
        dtype = at.results[0].dtype
        if a.number is not None and b.number is not None:
            # A choice between two literals has no tensor to take its precision from.
            return astype(at, call(f"{np}.where", condition, a, b), dtype)
        values = Call(at.op, (a, b), at.types[1:], at.results, at.scope)
        return call(f"{np}.where", condition, *promoted(values, np, dtype))

    @rules.rule("full")
    def _full(at: Call) -> Code:
        shape, dtype = at.shape(at.op.shape), at.dtype(at.op.dtype)
        number = literal(at.op.value)
        if isinstance(at.op.value, bool):
            return call(f"{np}.full", shape, number)
        plain = _PLAIN.get(repr(float(at.op.value)))
        return call(f"{np}.{plain}", shape, dtype) if plain else call(f"{np}.full", shape, number, dtype)

    @rules.rule("arange")
    def _arange(at: Call) -> Code:
        size = at.size(at.op.size)
        if at.op.dtype is DType.I64:
            return call(f"{np}.arange", size)
        return call(f"{np}.arange", size, dtype=at.dtype(at.op.dtype))
