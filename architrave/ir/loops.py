"""Loops that carry no more than they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.control import Scan, While


def without_idle_carries(node: Node, op: Scan | While, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    """The outputs of the loop `node`, over `op` and `operands`, with what no turn changes captured, not carried.

    None where every turn may change all that is carried. The states of a network are carried through its loops, and in
    inference no turn updates them.
    """
    start = 1 if isinstance(op, Scan) and not op.sequences else 0
    carried = op.body.inputs[start : start + op.carries]
    idle = [i for i, before in enumerate(carried) if op.body.outputs[i] is before]
    if not idle:
        return None
    results: dict[int, Value] = {i: operands[i] for i in idle}
    left = [i for i in range(len(op.body.outputs)) if i not in results]
    if left:
        loop = make(_over(op, idle, start), _last(operands, idle), node.marks)
        at = {i: new for new, i in enumerate(left)}
        loop.hints.update({(at[i], up): hint for (i, up), hint in node.hints.items() if i in at})
        results.update(zip(left, loop.outputs, strict=True))
    return tuple(results[i] for i in range(len(results)))


def _over(op: Scan | While, idle: Sequence[int], start: int) -> Scan | While:
    """The loop with the idle carries as its last captures."""
    inside = [start + i for i in idle]
    outputs = tuple(v for i, v in enumerate(op.body.outputs) if i not in idle)
    body = replace(_with_last(op.body, inside), outputs=outputs)
    carries = op.carries - len(idle)
    if isinstance(op, Scan):
        return replace(op, body=body, carries=carries)
    return replace(op, condition=_with_last(op.condition, inside), body=body, carries=carries)


def _with_last(graph: Graph, positions: Sequence[int]) -> Graph:
    return replace(graph, inputs=_last(graph.inputs, positions))


def _last(values: tuple[Value, ...], positions: Sequence[int]) -> tuple[Value, ...]:
    """The values with those at `positions` at their end."""
    return (*(v for i, v in enumerate(values) if i not in positions), *(values[i] for i in positions))
