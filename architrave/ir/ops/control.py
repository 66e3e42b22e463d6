"""Operators that hold graphs: modes, choices, loops and functions with a gradient of their own.

What a sub-graph uses from outside is passed in as operands ("captures"), so a sub-graph stands alone:
its leaves are its inputs and constants; weights are leaves of the outermost graph only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.axes.axis import Axes, Axis
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value, make
from architrave.ir.op import Op, Related, Sample, sample, typed
from architrave.ir.ops.leaves import Input
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations

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

    def relate(self, relations: Relations, *captures: Axes) -> Related:
        return _alike(relations, [relations.entered(side, captures) for side in (self.training, self.inference)])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, w = _inputs([3, 4], [4])
        product, total = _body([x, w], x * w * w), _body([x, w], x + w)
        yield sample([3, 4], [4], training=product, inference=total)
        yield sample([3, 4], [4], training=total, inference=product)
        yield sample([3], [4], training=product, inference=total, error="E323")


class Choice(Control):
    """A decision that is still open: every alternative, under its label. Operands are the captures of all."""

    unsampled = "decided before a program is written"

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

    def relate(self, relations: Relations, *captures: Axes) -> Related:
        return _alike(relations, [relations.entered(graph, captures) for graph in self.alternatives])


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

    def relate(self, relations: Relations, *operands: Axes) -> Related:
        first, sequences = operands[: self.carries], operands[self.carries : self.carries + self.sequences]
        turn = Axis(self.length)
        relations.fixed((turn, *(relations.same(turn, x[self.axis]) for x in sequences)), "takes turns along it")
        slices = (x[: self.axis] + x[self.axis + 1 :] for x in sequences)
        step = () if self.sequences else ((),)
        captures = operands[self.carries + self.sequences :]
        results = relations.entered(self.body, (*step, *first, *slices, *captures))
        carried = (relations.broadcast(*pair) for pair in zip(first, results, strict=False))
        return (*carried, *((*x[: self.axis], turn, *x[self.axis :]) for x in results[self.carries :]))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        h, t, w = _inputs([4], [4], [4])
        body = _body([h, t, w], h * w + t, h * t)
        yield sample([4], [5, 4], [4], body=body, carries=1, sequences=1, length=5)
        yield sample([4], [5, 4], [4], body=body, carries=1, sequences=1, length=5, reverse=True)
        yield sample([4], [4, 3], [4], body=body, carries=1, sequences=1, length=3, axis=1)
        yield sample([4], [0, 4], [4], body=body, carries=1, sequences=1, length=0)
        turn, h, w = _inputs(typed(DType.I64), [2, 1], [2, 1])
        count = _body([turn, h, w], h * w, h * 0.5 + turn)
        yield sample([2, 1], [2, 1], body=count, carries=1, sequences=0, length=4)
        t, w = _inputs([3], [])
        yield sample([6, 3], [], body=_body([t, w], t * w * w), carries=0, sequences=1, length=6)
        h, t = _inputs([], [4])
        yield sample([], [5, 4], body=_body([h, t], h * t), carries=1, sequences=1, length=5, error="E324")
        yield sample([4], [5, 4], [4], body=body, carries=1, sequences=1, length=4, error="E320")

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

    def relate(self, relations: Relations, *operands: Axes) -> Related:
        relations.entered(self.condition, operands)
        results = relations.entered(self.body, operands)
        return tuple(relations.broadcast(*pair) for pair in zip(operands, results, strict=False))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        n, y, w = _inputs([], [3], [3])
        small, body = _body([n, y, w], n < 9.0), _body([n, y, w], n * 2.0, y * w + n)
        for start in (1.0, 5.0, 20.0):
            yield sample(np.array(start), [3], [3], condition=small, body=body, carries=2, limit=6)
        yield sample(np.array(0.5), [3], [3], condition=small, body=body, carries=2, limit=2)
        yield sample([], [3], [3], condition=_body([n, y, w], n), body=body, carries=2, limit=2, error="E321")


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

    def relate(self, relations: Relations, *operands: Axes) -> Related:
        results = relations.entered(self.forward, operands)
        gradients = relations.entered(self.backward, (*operands, *results))
        for pair in zip(operands, gradients, strict=False):
            relations.broadcast(*pair)
        return results

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        x, w, g = _inputs([2, 3], [2, 3], [2, 3])
        forward = _body([x, w], x * x * w)
        backward = _body([x, w, g], 2.0 * g * x * w, g * x * x)
        yield sample([2, 3], [2, 3], forward=forward, backward=backward, differentiable=2)
        yield sample([2, 3], [2, 3], forward=forward, backward=forward, differentiable=1, error="E323")


def _alike(relations: Relations, sides: list[tuple[Axes, ...]]) -> Related:
    """The axes of results that graphs give alike."""
    return tuple(relations.broadcast(*results) for results in zip(*sides, strict=True))


def _inputs(*types: list[Size] | TensorType) -> list[Value]:
    """The inputs of a graph in a sample; a list of sizes stands for a float tensor."""
    return [make(Input(f"x{i}", type), ()).outputs[0].named(f"x{i}") for i, type in enumerate(sample(*types).types)]


def _body(inputs: list[Value], *outputs: Value) -> Graph:
    """A graph in a sample."""
    return Graph("sample", tuple(inputs), outputs)


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
