"""Operators that hold graphs: modes, choices, loops and functions with a gradient of their own.

What a sub-graph uses from outside is passed in as operands ("captures"), so a sub-graph stands alone:
its leaves are its inputs and constants; weights are leaves of the outermost graph only.
"""

from __future__ import annotations

from dataclasses import field

from architrave.ir.dims import Size
from architrave.ir.graph import Graph
from architrave.ir.op import Op
from architrave.ir.source import error
from architrave.ir.types import TensorType

Types = tuple[TensorType, ...]
Entries = tuple[tuple[int | None, ...], ...]


class Control(Op, register=False):
    """An operator that holds graphs."""

    def entries(self) -> Entries:
        """For each graph, which operand each of its inputs is; None where the input is the graph's own."""
        raise NotImplementedError(f"{self.name} does not say what its graphs are given")


class Mode(Control):
    """The training and the inference side of `if training`. Operands are the captures of both."""

    training: Graph
    inference: Graph

    def infer(self, *captures: TensorType) -> Types:
        _check_inputs("the training side", self.training, captures)
        _check_inputs("the inference side", self.inference, captures)
        return _same_results("training and inference", self.training, self.inference)

    def entries(self) -> Entries:
        return _all(self.training), _all(self.inference)


class Choice(Control):
    """A decision that is still open: every alternative, under its label. Operands are the captures of all."""

    path: str
    labels: tuple[str, ...]
    alternatives: tuple[Graph, ...]

    def infer(self, *captures: TensorType) -> Types:
        for label, graph in zip(self.labels, self.alternatives, strict=True):
            _check_inputs(f"alternative `{label}`", graph, captures)
        for label, graph in zip(self.labels, self.alternatives, strict=True):
            _same_results(f"alternatives `{self.labels[0]}` and `{label}`", self.alternatives[0], graph)
        return tuple(v.type for v in self.alternatives[0].outputs)

    def entries(self) -> Entries:
        return tuple(map(_all, self.alternatives))


class Scan(Control):
    """A loop over one axis of `sequences` tensors, or over a counter where there is none.

    Operands: `carries` initial values, the sequences, the captures. The body's inputs: the step (an i64
    scalar) where there are no sequences, the carries, one slice of each sequence, the captures; its
    outputs: the carries' next values, then what is emitted. Results: the last carries, then the emitted
    values stacked along `axis`. `reverse` runs from the end; emitted values keep their position.
    """

    body: Graph
    carries: int
    sequences: int
    length: Size
    axis: int = 0
    reverse: bool = False

    def infer(self, *operands: TensorType) -> Types:
        first = operands[: self.carries]
        sequences = operands[self.carries : self.carries + self.sequences]
        captures = operands[self.carries + self.sequences :]
        slices = tuple(self._slice(s) for s in sequences)
        step = () if self.sequences else (self.body.inputs[0].type,)
        _check_inputs("the body of scan", self.body, (*step, *first, *slices, *captures))
        results = tuple(v.type for v in self.body.outputs)
        for before, after in zip(first, results, strict=False):
            _check_carry(before, after)
        return (*first, *(self._stacked(t) for t in results[self.carries :]))

    def entries(self) -> Entries:
        own = self.carries + (self.sequences or 1)
        return (_after(own, self.body, self.carries + self.sequences),)

    def _slice(self, sequence: TensorType) -> TensorType:
        if not 0 <= self.axis < sequence.rank:
            raise error("E320", f"scan runs over axis {self.axis}, but a sequence is {sequence}")
        if sequence.shape[self.axis] != self.length:
            found = sequence.shape[self.axis]
            raise error("E320", f"scan runs over {self.length} steps, but axis {self.axis} of {sequence} has {found}")
        return sequence.with_shape(sequence.shape[: self.axis] + sequence.shape[self.axis + 1 :])

    def _stacked(self, emitted: TensorType) -> TensorType:
        if self.axis > emitted.rank:
            raise error("E320", f"a value of type {emitted} cannot be stacked along axis {self.axis}")
        return emitted.with_shape((*emitted.shape[: self.axis], self.length, *emitted.shape[self.axis :]))


class While(Control):
    """A loop that runs until `condition` is false, at most `limit` times.

    Operands: `carries` initial values, then the captures; both graphs take all of them. `condition`
    returns one boolean scalar, `body` the carries' next values. Results: the last carries.
    """

    condition: Graph
    body: Graph
    carries: int
    limit: int

    def infer(self, *operands: TensorType) -> Types:
        _check_inputs("the condition of while", self.condition, operands)
        _check_inputs("the body of while", self.body, operands)
        (test,) = (v.type for v in self.condition.outputs)
        if test.rank or not test.dtype.is_bool:
            raise error(
                "E321",
                f"the condition of while must be one truth value, not {test}",
                hint="reduce it with `any(...)` or `all(...)`",
            )
        for before, after in zip(operands[: self.carries], (v.type for v in self.body.outputs), strict=True):
            _check_carry(before, after)
        return operands[: self.carries]

    def entries(self) -> Entries:
        return _after(self.carries, self.condition, self.carries), _after(self.carries, self.body, self.carries)


class CustomGrad(Control):
    """A function with a gradient of its own.

    `forward` takes the operands; `backward` takes the operands and then the gradient of each result, and
    returns the gradient of each of the first `differentiable` operands. The others get none.
    """

    forward: Graph
    backward: Graph
    differentiable: int
    label: str = field(default="custom", compare=False)

    def infer(self, *operands: TensorType) -> Types:
        _check_inputs("the function", self.forward, operands)
        results = tuple(v.type for v in self.forward.outputs)
        _check_inputs("its gradient", self.backward, (*operands, *results))
        gradients = tuple(v.type for v in self.backward.outputs)
        if gradients != operands[: self.differentiable]:
            wanted = ", ".join(map(str, operands[: self.differentiable]))
            raise error(
                "E322", f"grad must return {wanted}, as the parameters are, not {', '.join(map(str, gradients))}"
            )
        return results

    def entries(self) -> Entries:
        given = _all(self.forward)
        return given, (*given, *(None for _ in self.forward.outputs))


def _all(graph: Graph) -> tuple[int, ...]:
    return tuple(range(len(graph.inputs)))


def _after(own: int, graph: Graph, first: int) -> tuple[int | None, ...]:
    """Inputs of the graph's own, and then the operands from `first` on."""
    return (*(None for _ in range(own)), *range(first, first + len(graph.inputs) - own))


def _check_inputs(what: str, graph: Graph, given: Types) -> None:
    wanted = tuple(v.type for v in graph.inputs)
    if wanted != given:
        raise error("E323", f"{what} takes ({', '.join(map(str, wanted))}), not ({', '.join(map(str, given))})")


def _check_carry(before: TensorType, after: TensorType) -> None:
    if before != after:
        raise error(
            "E324",
            f"a carried value starts as {before} but becomes {after}",
            hint="a carried value keeps its type from turn to turn",
        )


def _same_results(what: str, a: Graph, b: Graph) -> Types:
    types = tuple(v.type for v in a.outputs), tuple(v.type for v in b.outputs)
    if types[0] != types[1]:
        raise error(
            "E325",
            f"{what} give different types: ({', '.join(map(str, types[0]))}) and ({', '.join(map(str, types[1]))})",
        )
    return types[0]
