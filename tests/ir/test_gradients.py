"""The gradient of every operator on every sample, and of gradients, against central differences in float64.

At a kink, where the difference to the left and the one to the right do not come together, a gradient must lie between
the two; which one it is says docs/numerics.md, and `tests/backends/test_kinks.py` holds all backends to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ml_dtypes
import numpy as np
import pytest

from architrave.ir.arrays import Array
from architrave.ir.autodiff import with_gradients
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.autodiff.reverse import copied
from architrave.ir.expand import expansion
from architrave.ir.graph import Graph, Value, apply, make
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Sample, without_gradient
from architrave.ir.ops.leaves import Input
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import part_of
from tests.ir.apply import applied

STEP = 1e-6
HOLDING_GRAPHS = {"mode", "choice", "scan", "while", "custom_grad"}
"""Operators whose gradient is a rule of `ir.autodiff` (see test_autodiff_control.py)."""


def graph_of(name: str, sample: Sample) -> Graph:
    return in_parts(applied(OPS[name](**sample.attributes), sample.types))


def in_parts(graph: Graph) -> Graph:
    """The same on real numbers: a complex input is made of two inputs, and a complex output is taken apart."""
    inputs: list[Value] = []
    given: list[Value] = []
    for value in graph.inputs:
        types = [value.type.with_dtype(part_of(value.dtype))] * (1 + value.dtype.is_complex)
        parts = [make(Input(f"part{len(inputs) + i}", type), ()).outputs[0] for i, type in enumerate(types)]
        inputs += parts
        given.append(apply(OPS["complex"](), *parts) if value.dtype.is_complex else parts[0])
    outputs: list[Value] = []
    for value in copied(graph, given):
        names = ("real", "imag") if value.dtype.is_complex else ()
        outputs += [apply(OPS[name](), value) for name in names] or [value]
    return Graph(graph.name, tuple(inputs), tuple(outputs))


def parts_of(inputs: Sequence[Array]) -> list[Array]:
    """The real and imaginary parts of complex arrays, and the others as they are."""
    return [part for x in inputs for part in ((x.real, x.imag) if x.dtype.kind == "c" else (x,))]


def has_gradients(graph: Graph) -> bool:
    """Whether there is something to differentiate, and by something."""
    return any(differentiable(v.type) for v in graph.inputs) and any(differentiable(v.type) for v in graph.outputs)


SAMPLES = [
    (name, number, sample)
    for name, op in OPS.items()
    for number, sample in enumerate(op.samples())
    if sample.error is None and name not in HOLDING_GRAPHS and has_gradients(graph_of(name, sample))
]
CONSTANT = [(name, n, s) for name, n, s in SAMPLES if OPS[name].gradient is without_gradient]
SLOPED = [
    (name, n, s) for name, n, s in SAMPLES if OPS[name].gradient is not without_gradient and not OPS[name].surrogate
]
SHORTENED = [(name, n, s) for name, n, s in SAMPLES if OPS[name].is_composite() and OPS[name].has_gradient()]
FIRST = [next(case for case in SLOPED if case[0] == name) for name in dict.fromkeys(name for name, _, _ in SLOPED)]


def named(cases: list[tuple[str, int, Sample]]) -> list[str]:
    return [f"{name}-{number}" for name, number, _ in cases]


def test_every_primitive_has_a_gradient_or_says_that_it_has_none():
    names = dict.fromkeys(name for name, _, _ in SAMPLES)
    assert [name for name in names if OPS[name].is_primitive() and not OPS[name].has_gradient()] == []


@pytest.mark.parametrize(("name", "number", "sample"), SLOPED, ids=named(SLOPED))
def test_gradient_agrees_with_differences(name: str, number: int, sample: Sample) -> None:
    check(graph_of(name, sample), parts_of(sample.draw(number)))


@pytest.mark.parametrize(("name", "number", "sample"), FIRST, ids=named(FIRST))
def test_gradient_of_the_gradient_agrees_with_differences(name: str, number: int, sample: Sample) -> None:
    graph = graph_of(name, sample)
    inputs = parts_of(sample.draw(number))
    check(with_gradients(graph), [*inputs, *cotangents(graph, inputs)])


@pytest.mark.parametrize(("name", "number", "sample"), SHORTENED, ids=named(SHORTENED))
def test_a_gradient_that_a_composite_defines_is_that_of_its_expansion(name: str, number: int, sample: Sample) -> None:
    graph, inputs = graph_of(name, sample), parts_of(sample.draw(number))
    flowing = cotangents(graph, inputs)
    expanded = in_parts(expansion(OPS[name](**sample.attributes), sample.types))
    pairs = zip(gradients(graph, inputs, flowing), gradients(expanded, inputs, flowing), strict=True)
    for found, wanted in pairs:
        scale = np.max(np.abs(wanted), initial=1.0, where=np.isfinite(wanted))
        known = np.isfinite(wanted)
        np.testing.assert_allclose(found[known], wanted[known], rtol=0, atol=1e-7 * scale)


@pytest.mark.parametrize(("name", "number", "sample"), CONSTANT, ids=named(CONSTANT))
def test_nothing_flows_through_what_says_so(name: str, number: int, sample: Sample) -> None:
    graph, inputs = graph_of(name, sample), parts_of(sample.draw(number))
    assert not any(np.any(g) for g in gradients(graph, inputs, cotangents(graph, inputs)))


def check(graph: Graph, inputs: Sequence[Array]) -> None:
    """Compare the gradients of a weighted sum of a graph's outputs with differences, element by element."""
    inputs, flowing = [np.array(x) for x in inputs], cotangents(graph, inputs)
    types = [v.type for v in (*graph.inputs, *graph.outputs) if differentiable(v.type)]
    rough = max(float(ml_dtypes.finfo(numpy_dtype(t.dtype, np.float64)).eps) for t in types)
    found = iter(gradients(graph, inputs, flowing))
    for position, value in enumerate(graph.inputs):
        if differentiable(value.type):
            gradient = next(found)
            assert gradient.shape == inputs[position].shape
            Differences(graph, inputs, flowing, rough, position).check(gradient)


def gradients(graph: Graph, inputs: Sequence[Array], flowing: Sequence[Array]) -> tuple[Array, ...]:
    return interpret(with_gradients(graph), [*inputs, *flowing]).outputs[len(graph.outputs) :]


def cotangents(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Something that flows back to each output that has gradients, the same every time."""
    rng = np.random.default_rng(0)
    outputs = zip(graph.outputs, interpret(graph, inputs).outputs, strict=True)
    return [rng.normal(size=y.shape).astype(y.dtype) for value, y in outputs if differentiable(value.type)]


@dataclass(frozen=True)
class Differences:
    """Differences of a weighted sum of a graph's outputs by the elements of one input.

    `rough` is the rounding of the coarsest float among inputs and outputs.
    """

    graph: Graph
    inputs: list[Array]
    flowing: list[Array]
    rough: float
    position: int

    def check(self, gradient: Array) -> None:
        scale = max(1.0, float(np.max(np.abs(gradient), initial=0.0, where=np.isfinite(gradient))))
        tolerance = max(1e-7, 10 * self.rough ** (2 / 3)) * scale
        for place in np.ndindex(gradient.shape):
            slope = gradient[place]
            if not self.agrees(place, slope, tolerance) and not self.is_within_kink(place, slope, tolerance):
                found = list(self.central(place))
                pytest.fail(f"{self.graph.name}: by input {self.position}{list(place)} {slope}, differences {found}")

    def agrees(self, place: tuple[int, ...], slope: float, tolerance: float) -> bool:
        """Whether a central difference is the slope, or there is none."""
        differences: list[float] = []
        for difference in self.central(place):
            if abs(difference - slope) <= tolerance:
                return True
            differences.append(difference)
        if not np.any(np.isfinite(differences)):
            return True
        # An infinite slope: that of a step a tenth as wide is steeper.
        return bool(np.isinf(slope)) and abs(differences[1]) > 1.4 * abs(differences[0])

    def central(self, place: tuple[int, ...]) -> Iterator[float]:
        """Differences of the fourth order. Which step suits depends on the curvature and on rounding."""
        for factor in (1, 0.1, 10, 100, 0.01):
            step = self.rough ** (1 / 3) * factor
            yield (4 * self.between(place, -step, step) - self.between(place, -2 * step, 2 * step)) / 3

    def is_within_kink(self, place: tuple[int, ...], slope: float, tolerance: float) -> bool:
        """Whether differences on either side stay apart, however small the step, and the slope lies between them."""
        wide, narrow = ((self.between(place, -step, 0), self.between(place, 0, step)) for step in (100 * STEP, STEP))
        apart = abs(narrow[1] - narrow[0])
        is_kink = apart > max(1e-3, abs(wide[1] - wide[0]) / 2)
        return is_kink and min(narrow) - tolerance - STEP <= slope <= max(narrow) + tolerance + STEP

    def between(self, place: tuple[int, ...], low: float, high: float) -> float:
        """The slope of the chord between two points beside the input."""
        with np.errstate(all="ignore"):
            (a, start), (b, end) = self.at(place, low), self.at(place, high)
            return float(np.float64(b - a) / np.float64(end - start))

    def at(self, place: tuple[int, ...], step: float) -> tuple[float, float]:
        """The sum at a point, and the element there."""
        moved = [x.copy() for x in self.inputs]
        moved[self.position][place] += step
        results = zip(self.graph.outputs, interpret(self.graph, moved).outputs, strict=True)
        outputs = [y for value, y in results if differentiable(value.type)]
        total = sum(float(np.sum(y * c, dtype=np.float64)) for y, c in zip(outputs, self.flowing, strict=True))
        return total, float(moved[self.position][place])
