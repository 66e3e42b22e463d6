"""Every operator in every backend: programs of one operator against its reference."""

import numpy as np
import pytest

import architrave.ir.ops  # noqa: F401  # fills the registry
from architrave.backends.base import backend
from architrave.backends.load import compile
from architrave.ir.autodiff import with_gradients
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph, make
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Sample
from architrave.ir.ops.leaves import Input
from architrave.ir.types import DType

BACKENDS = ("numpy", "torch", "jax")
WRITTEN_OTHERWISE = {"input", "param", "state", "constant", "run_key", "mode", "choice", "scan", "while", "custom_grad"}
"""Leaves and control flow are statements or names, not expressions: writers know them, and no rule does."""
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}


def good_samples(name: str) -> list[Sample]:
    return [sample for sample in OPS[name].samples() if sample.error is None]


CASES = [name for name in OPS if name not in WRITTEN_OTHERWISE and good_samples(name)]


def graph_of(name: str, sample: Sample) -> Graph:
    inputs = tuple(make(Input(f"x{i}", type), ()).outputs[0] for i, type in enumerate(sample.types))
    node = make(OPS[name](**sample.attributes), inputs)
    return Graph(name, inputs, node.outputs)


@pytest.mark.parametrize("target", BACKENDS)
def test_every_primitive_has_a_rule(target):
    rules = backend(target).rules
    missing = [n for n, op in OPS.items() if n not in rules and n not in WRITTEN_OTHERWISE and not op.is_composite()]
    assert missing == []


@pytest.mark.parametrize("target", BACKENDS)
def test_no_rule_is_for_an_unknown_operator(target):
    assert [name for name in backend(target).rules if name not in OPS] == []


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", BACKENDS)
def test_operator_agrees_with_its_reference(target, name, precision):
    if target != "numpy":
        pytest.importorskip(target)
    # The rules are the same for both: float32 is there for what the precision of the arithmetic changes.
    for number, sample in enumerate(good_samples(name)[: 4 if precision == "float32" else None]):
        graph = graph_of(name, sample)
        inputs = [narrowed(x, precision) for x in sample.draw(number)]
        expected = interpret(graph, inputs).outputs
        program = compile(graph, target)
        results = program.run({}, *inputs).outputs
        # Where no input says otherwise, programs compute in float32.
        chosen = precision if any(x.real.dtype == precision for x in inputs) else "float32"
        for value, wanted, found in zip(graph.outputs, expected, results, strict=True):
            assert_close(found, wanted, TOLERANCE[chosen], f"{target}, sample {number}\n{program.source}")
            assert value.dtype is not DType.FLOAT or found.dtype == chosen, program.source


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", BACKENDS)
def test_gradient_agrees_with_that_of_the_graph(target, name):
    if target != "numpy":
        pytest.importorskip(target)
    rng = np.random.default_rng(0)
    for number, sample in enumerate(good_samples(name)):
        graph = graph_of(name, sample)
        if not has_gradients(graph):
            continue
        inputs = sample.draw(number)
        outputs = interpret(graph, inputs).outputs
        if any(np.isnan(y).any() for y in outputs if y.dtype.kind in "fc"):
            continue  # what flows back through a NaN is left open
        pairs = [(y, differentiable(v.type)) for v, y in zip(graph.outputs, outputs, strict=True)]
        flowing = [rng.normal(size=y.shape).astype(y.dtype) if flows else None for y, flows in pairs]
        given = [*inputs, *(g for g in flowing if g is not None)]
        wanted = iter(interpret(with_gradients(graph), given).outputs[len(outputs) :])
        program = compile(graph, target)
        found = program.gradients({}, *inputs, cotangents=flowing).inputs
        tolerance = TOLERANCE["float64" if any(x.real.dtype == np.float64 for x in inputs) else "float32"]
        for position, value in enumerate(graph.inputs):
            if differentiable(value.type):
                about = f"{target}, sample {number}, input {position}\n{program.source}"
                assert_close(found[position], next(wanted), tolerance, about, largest(flowing))


def narrowed(x: np.ndarray, precision: str) -> np.ndarray:
    """Floats and complex numbers in the precision of a run."""
    dtypes = {"f": np.dtype(precision), "c": np.result_type(precision, np.complex64)}
    return x.astype(dtypes.get(x.dtype.kind, x.dtype))


def has_gradients(graph: Graph) -> bool:
    """Whether there is something to differentiate, and by something."""
    return all(any(differentiable(v.type) for v in values) for values in (graph.inputs, graph.outputs))


def largest(arrays: list[np.ndarray | None]) -> float:
    """The largest number among what flows back."""
    return max((float(np.max(np.abs(x), initial=0)) for x in arrays if x is not None), default=0.0)


def assert_close(found: np.ndarray, wanted: np.ndarray, tolerance: float, about: str, least: float = 1e-30) -> None:
    """Compare by the scale of the result, which is `least` at least."""
    assert found.shape == wanted.shape, about
    if wanted.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, wanted, about)
        return
    if wanted.dtype in (np.float32, np.complex64):
        tolerance = TOLERANCE["float32"]  # of any run: the dtype of the operator says so
    scale = np.max(np.abs(wanted), initial=least, where=np.isfinite(wanted))
    np.testing.assert_allclose(found.astype(wanted.dtype), wanted, rtol=0, atol=tolerance * scale, err_msg=about)
