"""What loops must keep for the way back.

A loop is undone from its end, turn by turn, and the gradient of a turn needs the carried values as they were before
it. So each `scan` is made to emit them. The number of turns of a `while` is not known before it runs: it becomes a
`scan` of as many turns as it may take at most, each of which does nothing once the condition is false.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Graph, Node, Value, apply, make, serial_now
from architrave.ir.ops.control import Scan, While
from architrave.ir.ops.leaves import Input
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import mark
from architrave.ir.rewrite import rebuild
from architrave.ir.types import DType, TensorType

Kept: TypeAlias = "Mapping[Node, tuple[Value, ...]]"
"""For each loop, the carried values before every turn: stacked, as the loop emits them."""


def keep_carries(graph: Graph, active: Collection[Value]) -> tuple[Graph, Kept]:
    """The graph with its loops (not those in the graphs inside it) emitting what they carry, where `active`."""
    kept: dict[Node, tuple[Value, ...]] = {}

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not any(v in active for v in node.outputs):
            return None
        match node.op:
            case Scan() as op:
                loop = op
            case While(limit=limit) as op if limit != 1:
                before = mark(node.marks)
                loop, operands = _bounded(op, operands)
                mark(before)
            case _:
                return None
        count = len(node.outputs)
        emitting = make(_emitting(loop), operands, node.marks)
        emitting.hints.update(node.hints)
        kept[emitting] = emitting.outputs[count:]
        return emitting.outputs[:count]

    return rebuild(graph, rewrite), kept


def stackable(value: Value, axis: int) -> Value:
    """A value with as many axes as it needs to be stacked along `axis`."""
    missing = axis - value.rank
    return value if missing <= 0 else apply(Reshape((*(1,) * missing, *value.shape)), value)


def _emitting(op: Scan) -> Scan:
    first = 0 if op.sequences else 1
    before = mark(op.body.outputs[0].node.marks) if op.body.outputs else None
    carried = tuple(stackable(v, op.axis) for v in op.body.inputs[first : first + op.carries])
    if before is not None:
        mark(before)
    return replace(op, body=replace(op.body, outputs=(*op.body.outputs, *carried)))


def _bounded(op: While, operands: tuple[Value, ...]) -> tuple[Scan, tuple[Value, ...]]:
    """A `while` as a `scan`, and its operands. A turn is a `while` of at most one turn."""
    since = serial_now()
    turn = make(Input("turn", TensorType(DType.I64, ())), ()).outputs[0]
    carried = tuple(placeholder(v.hint or f"x{i}", v.type) for i, v in enumerate(operands[: op.carries]))
    after = make(replace(op, limit=1), (*carried, *operands[op.carries :])).outputs
    (body,), captures = enclose([Body(op.body.name, (turn, *carried), after)], since)
    return Scan(body, op.carries, 0, op.limit), (*operands[: op.carries], *captures)
