"""Batch norms that end to follow their batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir import build
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import Initial, path_of
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.rewrite import inline, rebuild
from architrave.ir.types import DType, TensorType
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Journal
from architrave.passes.select import Select


class FreezeNorm(Pass):
    """Batch norms normalize by their running statistics in training, too, and these stay. Inference stays as it is.

    Rounded weights change what a batch's statistics are from step to step, and at the end of training these only
    disturb: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (2018), section 3.2.2;
    Jacob and others (2018).
    """

    after: int = option(0, "how many steps of training they follow their batches before")
    only: Select = option(Select(), "which batch norms: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """With `after` there is a new state, which counts the steps from 0."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        path = free("norm_steps", {path_of(w) for w in graph.weights})
        count = build.state(path, TensorType(DType.I64, ()), Initial("zeros"))

        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not isinstance(node.op, Mode) or not _normalizes(node.op) or not self.only.matches(node):
                return None
            journal.changed("freeze-norm", node)
            if self.after <= 0:
                return inline(node.op.inference, operands, node.place)
            return make(_until(node.op, self.after), (count, *operands), node.marks).outputs

        after = rebuild(graph, rewrite)
        if count.node not in after.nodes:
            return after
        updates = (*after.updates, (count, _next(count)))
        zero: Value = build.full(value=0, shape=(), dtype=DType.I64)
        prepare = Graph(f"{graph.name}_prepare", (), (*graph.weights, zero), weights=graph.weights)
        return Rewritten(
            replace(after, weights=(*after.weights, count), updates=updates),
            Prepare(prepare, (*map(path_of, graph.weights), path)),
        )


def _normalizes(op: Mode) -> bool:
    """Whether both sides are a batch norm, by statistics of the batch and by those of the past."""
    sides = (op.training, op.inference)
    return all(any(isinstance(node.op, BatchNorm) for node in side.nodes) for side in sides)


def _until(op: Mode, steps: int) -> Mode:
    """The training side for so many steps, the other one after them. The count is the first input."""
    count = placeholder("count", TensorType(DType.I64, ()))
    inputs = tuple(placeholder(v.hint or "x", v.type) for v in op.training.inputs)
    sides = zip(inline(op.training, inputs), inline(op.inference, inputs), strict=True)
    following: Value = count < steps
    chosen = tuple(build.where(following, a, b) for a, b in sides)
    return Mode(
        replace(op.training, inputs=(count, *inputs), outputs=chosen),
        replace(op.inference, inputs=(count, *op.inference.inputs)),
    )


def _next(count: Value) -> Value:
    inside = placeholder("count", count.type)
    op = Mode(Graph("training", (inside,), (inside + 1,)), Graph("inference", (inside,), (inside,)))
    return make(op, (count,)).outputs[0]
