"""Linear algebra on the last two axes."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, tensor
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir import build
from architrave.ir.graph import Value
from architrave.ir.source import Span


def _of_matrix(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any) -> Any:
        return build.call(name, tensor(x, span, name))

    BUILTINS[name] = Builtin(name, run)


for _name in ("cholesky", "inverse", "qr", "svd", "eigh", "matrix_exp", "slogdet", "det"):
    _of_matrix(_name)


@builtin("solve")
def _solve(frame: Frame, span: Span, a: Any, b: Any) -> Value:
    return _system("solve", a, b, span)


@builtin("triangular_solve")
def _triangular_solve(
    frame: Frame, span: Span, a: Any, b: Any, lower: bool = True, transposed: bool = False, unit: bool = False
) -> Value:
    return _system("triangular_solve", a, b, span, lower=lower, transposed=transposed, unit=unit)


@builtin("lstsq")
def _lstsq(frame: Frame, span: Span, a: Any, b: Any, rtol: float = 1e-6) -> Value:
    return _system("lstsq", a, b, span, rtol=rtol)


def _system(name: str, a: Any, b: Any, span: Span, **attributes: Any) -> Value:
    """A system of equations; a vector on the right is a column, and so is the solution then."""
    a, b = tensor(a, span, name), tensor(b, span, name)
    if b.rank != 1:
        return apply_op(name, a, b, **attributes)
    return apply_op("squeeze", apply_op(name, a, apply_op("unsqueeze", b, axes=(1,)), **attributes), axes=(-1,))


@builtin("pinv")
def _pinv(frame: Frame, span: Span, x: Any, rtol: float = 1e-6) -> Value:
    return apply_op("pinv", tensor(x, span, "pinv"), rtol=rtol)


@builtin("matrix_power")
def _matrix_power(frame: Frame, span: Span, x: Any, n: int) -> Value:
    return apply_op("matrix_power", tensor(x, span, "matrix_power"), n=n)
