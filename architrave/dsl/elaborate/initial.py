"""Initializers of weights."""

from __future__ import annotations

from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame, call
from architrave.dsl.elaborate.values import Builtin, Closure, Fn, describe
from architrave.ir.enclose import Body, enclose
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import Initial
from architrave.ir.source import error
from architrave.ir.types import TensorType

PLAIN = frozenset({"zeros", "ones", "identity"})
"""Functions of the language that name an initializer where one is wanted."""


def to_initial(value: Any, what: TensorType, node: syntax.Param | syntax.State, frame: Frame) -> Initial | Graph:
    """What `= ...` of a weight says: an initializer, or the graph of a constant tensor of its shape.

    Without one a weight starts with zeros. Raises E252.
    """
    span = node.initializer.span if node.initializer is not None else node.span
    if isinstance(value, Fn | Closure):
        value = call(value, [list(what.shape)], {}, span, frame)
    match value:
        case None:
            return Initial("zeros")
        case Initial():
            return value
        case Builtin() if value.name in PLAIN:
            return Initial(value.name)
        case bool() | int() | float():
            return Initial("full", (float(value),))
        case Value():
            return _constant(value, what, node)
        case _:
            raise error(
                "E252",
                f"{describe(value)} is not an initializer",
                span,
                hint="such as `zeros`, `normal(0.02)` or `kaiming_uniform()`",
            )


def _constant(value: Value, what: TensorType, node: syntax.Param | syntax.State) -> Graph:
    span = node.initializer.span if node.initializer is not None else node.span
    (graph,), captures = enclose([Body("initial", (), (value,))], since=0)
    if captures:
        raise error("E252", "a weight starts with a constant tensor, and this one depends on inputs or weights", span)
    if value.shape != what.shape:
        raise error("E252", f"the weight is {what} and would start as {value.type}", span)
    return graph
