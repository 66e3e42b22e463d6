"""The oracle: what a graph means, computed by the operators' references in float64.

It is written for certainty, not for speed, and shares no code with any backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.bind import bind_op, bind_type, check_sizes, sizes_of, symbolic_sizes
from architrave.ir.dims import substitute
from architrave.ir.expand import expansion
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Constant, Param, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.source import ArchitraveError, Diagnostic, error
from architrave.ir.storage import is_float, numpy_dtype
from architrave.ir.types import TensorType, shape_text

Observer = Callable[[Node, tuple[Array, ...]], None]
Disturbance = Callable[[Array], Array]

NESTING = 100
"""Graphs may hold graphs this deep. Each level is a few frames of Python's stack."""


@dataclass(frozen=True)
class Result:
    """What a run gives: the outputs, and the new value of each state that it updates, by path."""

    outputs: tuple[Array, ...]
    updates: dict[str, Array]


def interpret(
    graph: Graph,
    inputs: Sequence[Any] = (),
    weights: Mapping[str, Any] | None = None,
    training: bool = False,
    *,
    dtype: Any = np.float64,
    key: tuple[int, int] = (0, 0),
    observe: Observer | None = None,
    disturb: Disturbance | None = None,
) -> Result:
    """Run a graph. `weights` holds the params and states by path, `key` is the seed and step of random numbers.

    Every operator computes in float64 (complex128); its result is rounded to the dtype of its type, where
    `dtype` stands for the chosen precision. `observe(node, values)` sees each node of the graph itself, not of
    the graphs inside, as it is computed. `disturb` changes, as rounding may, each array of float64 or complex128
    before it is used: inputs, weights and what any operator computes, inside other graphs too. A choice that is open
    takes its first alternative.
    Raises E510 and E511 for inputs that do not fit, E512 and E513 for weights that are missing or misshapen.
    """
    arrays = [np.asarray(x) for x in inputs]
    sizes = sizes_of(graph, [x.shape for x in arrays])
    check_sizes(graph, symbolic_sizes(graph), sizes)
    held = _checked(graph, weights or {})
    if disturb is not None:
        arrays = [_disturbed(x, disturb) for x in arrays]
        held = {path: _disturbed(w, disturb) for path, w in held.items()}
    run = _Run(training, np.dtype(dtype), sizes, held, key, disturb)
    results = run.run(graph, arrays, observe)
    count = len(graph.outputs)
    paths = [path_of(old) for old, _ in graph.updates]
    return Result(results[:count], dict(zip(paths, results[count:], strict=True)))


Step = tuple[Node, tuple[Value, ...]]


@dataclass(frozen=True)
class _Run:
    """One run: what all its graphs share."""

    training: bool
    dtype: np.dtype[Any]
    sizes: Mapping[str, int]
    weights: Mapping[str, Array]
    key: tuple[int, int]
    disturb: Disturbance | None
    depth: int = 0
    plans: dict[int, tuple[Graph, list[Step]]] = field(default_factory=dict[int, tuple[Graph, list[Step]]])

    def run(self, graph: Graph, arguments: Sequence[Any], observe: Observer | None = None) -> tuple[Array, ...]:
        """The outputs and new states of a graph."""
        values: dict[Value, Array] = {
            value: self._stored(value.op, argument, value.type)
            for value, argument in zip(graph.inputs, arguments, strict=True)
        }
        for node, finished in self._plan(graph):
            if node.outputs[0] not in values:
                results = self._node(node, tuple(values[v] for v in node.operands))
                values.update(zip(node.outputs, results, strict=True))
            if observe is not None:
                observe(node, tuple(values[v] for v in node.outputs))
            for value in finished:
                values.pop(value, None)
        return tuple(values[v] for v in (*graph.outputs, *(new for _, new in graph.updates)))

    def _plan(self, graph: Graph) -> list[Step]:
        """Each node with the values that nothing needs after it."""
        # The graph is held with its plan, so that its id stays its own.
        if id(graph) not in self.plans:
            self.plans[id(graph)] = graph, _steps(graph)
        return self.plans[id(graph)][1]

    def _node(self, node: Node, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            results = self._apply(node.op, operands, tuple(v.type for v in node.operands))
            if self.disturb is not None and operands:
                results = tuple(_disturbed(np.asarray(r), self.disturb) for r in results)
            return tuple(self._stored(node.op, r, v.type) for r, v in zip(results, node.outputs, strict=True))

    def _apply(self, op: Op, operands: tuple[Array, ...], types: tuple[TensorType, ...]) -> tuple[Any, ...]:
        match op:
            case Param(path=path) | State(path=path):
                return (self.weights[path],)
            case Constant(type=type, data=data):
                stored = numpy_dtype(type.dtype).newbyteorder("<")
                return (np.frombuffer(data, stored).reshape(self._shape(type)),)
            case RunKey():
                return (np.array([word & 0xFFFFFFFF for word in self.key], np.uint32),)
            case Mode(training=training, inference=inference):
                return self._inside(training if self.training else inference, operands)
            case Choice(alternatives=alternatives):
                return self._inside(alternatives[0], operands)
            case CustomGrad(forward=forward):
                return self._inside(forward, operands)
            case While():
                return self._while(op, operands)
            case Scan():
                return self._scan(op, operands)
            case _:
                return self._operator(op, operands, types)

    def _operator(self, op: Op, operands: tuple[Array, ...], types: tuple[TensorType, ...]) -> tuple[Any, ...]:
        bound = bind_op(op, self.sizes)
        if op.is_composite():
            return self._inside(expansion(bound, tuple(bind_type(t, self.sizes) for t in types)), operands)
        results: Array | tuple[Array, ...] = bound.reference(*map(_widened, operands))
        return results if isinstance(results, tuple) else (results,)

    def _inside(self, graph: Graph, operands: Sequence[Array]) -> tuple[Array, ...]:
        if self.depth == NESTING:
            raise error("E514", f"`{graph.name}` is nested more than {NESTING} graphs deep")
        return replace(self, depth=self.depth + 1).run(graph, operands)

    def _while(self, op: While, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        carried, captures = operands[: op.carries], operands[op.carries :]
        for _ in range(op.limit):
            (more,) = self._inside(op.condition, (*carried, *captures))
            if not more:
                break
            carried = self._inside(op.body, (*carried, *captures))
        return carried

    def _scan(self, op: Scan, operands: tuple[Array, ...]) -> tuple[Array, ...]:
        length = substitute(op.length, self.sizes)
        assert isinstance(length, int)
        carried = operands[: op.carries]
        sequences = operands[op.carries : op.carries + op.sequences]
        captures = operands[op.carries + op.sequences :]
        turns: list[tuple[Array, ...]] = []
        for position in reversed(range(length)) if op.reverse else range(length):
            step = () if op.sequences else (np.asarray(position),)
            slices = (sequence.take(position, op.axis) for sequence in sequences)
            results = self._inside(op.body, (*step, *carried, *slices, *captures))
            carried = results[: op.carries]
            turns.append(results[op.carries :])
        if op.reverse:
            turns.reverse()
        if not turns:
            return (*carried, *(self._nothing(v.type, op.axis) for v in op.body.outputs[op.carries :]))
        return (*carried, *(np.stack(emitted, op.axis) for emitted in zip(*turns, strict=True)))

    def _nothing(self, emitted: TensorType, axis: int) -> Array:
        """What a loop without turns emits."""
        shape = self._shape(emitted)
        return np.zeros((*shape[:axis], 0, *shape[axis:]), numpy_dtype(emitted.dtype, self.dtype))

    def _shape(self, type: TensorType) -> tuple[int, ...]:
        shape = tuple(size for size in bind_type(type, self.sizes).shape if isinstance(size, int))
        if len(shape) != type.rank:
            raise error("E515", f"the inputs do not tell the size of {type}")
        return shape

    def _stored(self, op: Op, value: Any, type: TensorType) -> Array:
        """A result as later operators find it: rounded to the dtype of its type."""
        array = np.asarray(value)
        if array.shape != (shape := self._shape(type)):
            raise error("E516", f"`{op.name}` gave an array of shape {array.shape}, but its type says {shape}")
        return array.astype(numpy_dtype(type.dtype, self.dtype), copy=False)


def _steps(graph: Graph) -> list[Step]:
    """The nodes of a graph, each with the values that nothing needs after it."""
    steps: list[Step] = []
    needed = {*graph.outputs, *(new for _, new in graph.updates)}
    for node in reversed(graph.nodes):
        last = tuple(dict.fromkeys(v for v in (*node.operands, *node.outputs) if v not in needed))
        needed.update(last)
        steps.append((node, last))
    steps.reverse()
    return steps


def _widened(array: Array) -> Array:
    """The array as references take it: floats as float64, complex numbers as complex128."""
    if array.dtype.kind == "c":
        return array.astype(np.complex128, copy=False)
    return array.astype(np.float64, copy=False) if is_float(array.dtype) else array


def _disturbed(array: Array, disturb: Disturbance) -> Array:
    return disturb(_widened(array)) if is_float(array.dtype) or array.dtype.kind == "c" else array


def _checked(graph: Graph, weights: Mapping[str, Any]) -> dict[str, Array]:
    """The graph's own weights as arrays; every missing or misshapen one is in the error."""
    problems: list[Diagnostic] = []
    found: dict[str, Array] = {}
    for weight in graph.weights:
        path = path_of(weight)
        if path not in weights:
            problems.append(Diagnostic("E512", f"the weight `{path}` is missing", weight.node.span))
            continue
        found[path] = np.asarray(weights[path])
        if found[path].shape != weight.shape:
            shown = shape_text(found[path].shape)
            message = f"the weight `{path}` is {weight.type}, but the array has the shape {shown}"
            problems.append(Diagnostic("E513", message, weight.node.span))
    if problems:
        raise ArchitraveError(problems)
    return found
