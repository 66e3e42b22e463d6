"""Algebra that makes a graph smaller: what changes nothing goes, what follows one another becomes one."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.arithmetic import Add, Divide, Multiply, Subtract
from architrave.ir.ops.elementwise import Negative
from architrave.ir.ops.join import Concat, Pad, Slice
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Expand, Flatten, Reshape, Squeeze, Transpose, Unsqueeze
from architrave.passes.base import Pass
from architrave.passes.journal import Journal
from architrave.passes.rewriter import Change, Rule, Walk, rewrite


class Simplify(Pass):
    """Operations that change nothing go; reshapes, transposes, casts and signs that follow one another become one."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """`x * 0` stays: it is NaN where x is infinite."""
        return rewrite(graph, RULES, journal)


def neutral_number(node: Node, walk: Walk) -> Change:
    """`x + 0`, `x - 0`, `x * 1`, `x / 1` are x."""
    neutral = {Add: 0, Subtract: 0, Multiply: 1, Divide: 1}.get(type(node.op))  # type: ignore[arg-type]
    if neutral is None:
        return None
    a, b = node.operands
    if _is_number(b, neutral) and a.type == node.outputs[0].type:
        return a
    symmetric = isinstance(node.op, Add | Multiply)
    return b if symmetric and _is_number(a, neutral) and b.type == node.outputs[0].type else None


def twice_negative(node: Node, walk: Walk) -> Change:
    """`-(-x)` is x."""
    return _inner(node, Negative, Negative)


def nothing_changed(node: Node, walk: Walk) -> Change:
    """A reshape, expansion, cast, slice, padding or concatenation that gives what it is given is left out."""
    if not isinstance(node.op, Reshape | Expand | Cast | Slice | Pad | Concat | Transpose) or len(node.operands) != 1:
        return None
    (x,), (y,) = node.operands, node.outputs
    if isinstance(node.op, Transpose) and _axes(node.op, x) != list(range(x.rank)):
        return None
    same = x.type == y.type and not (isinstance(node.op, Slice) and any(step < 0 for step in node.op.steps))
    return x if same else None


def one_form_of_reshape(node: Node, walk: Walk) -> Change:
    """`flatten`, `squeeze` and `unsqueeze` are reshapes."""
    if not isinstance(node.op, Flatten | Squeeze | Unsqueeze):
        return None
    return apply(Reshape(node.outputs[0].shape), node.operands[0])


def two_reshapes(node: Node, walk: Walk) -> Change:
    """Of reshapes that follow one another the last one is enough."""
    inner = _inner(node, Reshape, Reshape)
    return None if inner is None else apply(Reshape(node.outputs[0].shape), inner)


def two_transposes(node: Node, walk: Walk) -> Change:
    """Transposes that follow one another are one."""
    inner = _inner(node, Transpose, Transpose)
    if inner is None or not isinstance(node.op, Transpose):
        return None
    first = node.operands[0].op
    assert isinstance(first, Transpose)
    return apply(Transpose(tuple(first.axes[a] for a in node.op.axes)), inner)


def transpose_of_ones(node: Node, walk: Walk) -> Change:
    """A transpose that moves axes of size 1 alone is a reshape."""
    if not isinstance(node.op, Transpose):
        return None
    x = node.operands[0]
    moved = [axis for axis in _axes(node.op, x) if x.shape[axis] != 1]
    if moved != sorted(moved):
        return None
    return apply(Reshape(node.outputs[0].shape), x)


RULES: Sequence[Rule] = (
    neutral_number,
    twice_negative,
    nothing_changed,
    one_form_of_reshape,
    two_reshapes,
    two_transposes,
    transpose_of_ones,
)


def _inner(node: Node, outer: type, inner: type) -> Value | None:
    """What `inner` is applied to where `outer` is applied to that."""
    if not isinstance(node.op, outer) or not isinstance(node.operands[0].op, inner):
        return None
    return node.operands[0].node.operands[0]


def _is_number(value: Value, number: float) -> bool:
    return isinstance(value.op, Full) and value.op.value == number and not isinstance(value.op.value, bool)


def _axes(op: Transpose, x: Value) -> list[int]:
    return [axis % x.rank for axis in op.axes]
