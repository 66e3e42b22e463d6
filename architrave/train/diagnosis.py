"""Why a step came to numbers that are not finite: the first place that made one of finite ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.source import ArchitraveError, Diagnostic, Note
from architrave.ir.storage import is_float

HINT = "a lower rate, a warm-up or clipping may help; nothing has changed in this step, and checkpoints are whole"


def not_finite(
    graph: Graph,
    number: int,
    loss: float,
    rate: Array,
    inputs: Sequence[Array],
    weights: Mapping[str, Array],
    seed: int,
) -> ArchitraveError:
    """The error E546 of a step (the `number`-th, from 1) of a `step_graph` or `gradient_graph` that was not finite.

    `inputs` are those of the graph, and `weights` its states before. The oracle repeats the step in the
    precision of the run, and the way goes back from what is wrong to its cause.
    """
    what = "the gradients" if np.isfinite(loss) else "the loss"
    said = "are not finite" if np.isfinite(loss) else f"is {loss}"
    node = _cause(graph, inputs, weights, (seed, number - 1), rate.dtype)
    note = Note(f"the learning rate is {float(rate):.3g}")
    notes = (note,) if node is None else (Note(_told(node)), note)
    trail = node.place.trail() if node is not None and node.place is not None else ()
    span = None if node is None else node.span
    return ArchitraveError([Diagnostic("E546", f"{what} of step {number} {said}", span, notes, trail, HINT)])


def _told(node: Node) -> str:
    match node.op:
        case Input(label=name):
            return f"the input `{name}` holds a number that is not finite"
        case Param(path=path) | State(path=path):
            return f"`{path}` already holds a number that is not finite"
        case op:
            where = f" of `{node.place}`" if str(node.place or "") else ""
            return f"the first result that is not finite is that of `{op.name}`{where}"


def _cause(
    graph: Graph, inputs: Sequence[Array], weights: Mapping[str, Array], key: tuple[int, int], precision: Any
) -> Node | None:
    """The node that made the first number of those that spoilt the step; None where the oracle makes none."""
    wrong: dict[Value, bool] = {}
    """Values that are not finite, and whether one of their numbers is NaN."""

    def observe(node: Node, values: tuple[Array, ...]) -> None:
        for value, array in zip(node.outputs, values, strict=True):
            if is_float(array.dtype) and not np.isfinite(array).all():
                wrong[value] = bool(np.isnan(array).any())

    with suppress(ArchitraveError):  # what the oracle cannot run, it cannot explain
        interpret(graph, inputs, weights, training=True, dtype=precision, key=key, observe=observe)
    value = graph.outputs[1]
    while (before := _worst(value.node, wrong)) is not None:
        value = before
    return None if value is graph.outputs[1] else value.node


def _worst(node: Node, wrong: Mapping[Value, bool]) -> Value | None:
    """The operand to blame: NaN rather than infinity, which may be meant, as in a mask. Constants are meant."""
    blamed = [v for v in node.operands if v in wrong and (v.node.operands or isinstance(v.op, Input | Param | State))]
    return next((v for v in blamed if wrong[v]), next(iter(blamed), None))
