"""Rules for the mathematical functions that NumPy and jax.numpy have under one name."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call
from architrave.backends.functional.dtypes import as_float, promoted

_OF_FLOATS = {
    "sinh": "sinh",
    "cosh": "cosh",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "exp2": "exp2",
    "log2": "log2",
    "log10": "log10",
    "cbrt": "cbrt",
    "isinf": "isinf",
}


def add_functions(rules: Rules, np: str) -> None:
    """Add the rules that write functions of the module `np`."""

    @rules.rule(*_OF_FLOATS)
    def _of_floats(at: Call) -> Code:
        return call(f"{np}.{_OF_FLOATS[at.op.name]}", as_float(at))

    @rules.rule("square")
    def _square(at: Call) -> Code:
        return call(f"{np}.square", at.args[0])

    @rules.rule("trunc")
    def _trunc(at: Call) -> Code:
        return at.args[0] if at.types[0].dtype.is_integer else call(f"{np}.trunc", at.args[0])

    @rules.rule("fmod", scalars=True)
    def _fmod(at: Call) -> Code:
        return call(f"{np}.fmod", *promoted(at, np))
