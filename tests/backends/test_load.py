"""Running programs: arrays in and out, in the precision of the weights, and nothing left behind."""

from __future__ import annotations

import gc
import sys
import traceback

import ml_dtypes
import numpy as np
import pytest

from architrave.backends.load import compile, load
from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, make
from architrave.ir.initial import initial
from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType
from architrave.models import loads
from tests.ir.graphs import leaf, param, running_max

N = symbol("N")
BACKENDS = ["numpy", "torch", "jax"]


def network() -> Graph:
    """`exp(tanh(x w + b))` and its sum over rows, scaled by an integer."""
    x, k = leaf("x", (N, 4)), leaf("k", (), DType.I64)
    w, b = param("fc.w", (4, 3), initial("normal")), param("fc.b", (3,), initial("zeros"))
    y = make(OPS["tanh"](), (x @ w + b,)).outputs[0]
    return Graph("net", (x, k), (make(OPS["exp"](), (y,)).outputs[0], y * k), (w, b))


def arrays(dtype: object = np.float64) -> tuple[dict[str, np.ndarray], np.ndarray, int]:
    rng = np.random.default_rng(0)
    weights = {"fc.b": rng.standard_normal(3), "fc.w": rng.standard_normal((4, 3))}
    return {path: w.astype(dtype) for path, w in weights.items()}, rng.standard_normal((2, 4)).astype(dtype), 3


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    if request.param != "numpy":
        pytest.importorskip(request.param)
    return request.param


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 1e-5), (ml_dtypes.bfloat16, 5e-2)], ids=str
)
def test_programs_compute_in_the_precision_of_the_weights(backend: str, dtype: object, tolerance: float) -> None:
    if backend == "numpy" and dtype is ml_dtypes.bfloat16:
        pytest.skip("NumPy's functions take no bfloat16")
    weights, x, k = arrays(dtype)
    expected = interpret(network(), [x, k], weights).outputs
    outputs = compile(network(), backend)(weights, x, k)
    assert isinstance(outputs, tuple)
    for actual, wanted in zip(outputs, expected, strict=True):
        assert isinstance(actual, np.ndarray)
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual.astype(float), wanted, rtol=tolerance, atol=tolerance)


def test_states_are_returned_and_the_given_ones_kept(backend: str) -> None:
    program, weights = compile(running_max(3), backend), {"scale.max": np.zeros(3)}
    x = np.arange(6.0).reshape(2, 3)
    for training in (True, False):
        actual, wanted = (
            program.run(weights, x, training=training),
            interpret(running_max(3), [x], weights, training),
        )
        np.testing.assert_allclose(actual.updates["scale.max"], wanted.updates["scale.max"])
        np.testing.assert_allclose(actual.outputs[0], wanted.outputs[0])
    assert weights["scale.max"].tolist() == [0, 0, 0]
    assert program(weights, x).shape == (2, 3)


def test_gradients_are_slopes(backend: str) -> None:
    weights, x, k = arrays()
    cotangents = [np.full((2, 3), 2.0), np.arange(6.0).reshape(2, 3)]
    found = compile(network(), backend).gradients(weights, x, k, cotangents=cotangents)

    def total(weights: dict[str, np.ndarray], x: np.ndarray) -> float:
        outputs = interpret(network(), [x, k], weights).outputs
        return sum(float((o * c).sum()) for o, c in zip(outputs, cotangents, strict=True))

    def slope(path: str, index: tuple[int, ...], step: float = 1e-5) -> float:
        ends = []
        for sign in (1, -1):
            moved = {p: w.copy() for p, w in {**weights, "x": x}.items()}
            moved[path][index] += sign * step
            moved_x = moved.pop("x")
            ends.append(total(moved, moved_x))
        return (ends[0] - ends[1]) / (2 * step)

    assert found.params["fc.w"][1, 2] == pytest.approx(slope("fc.w", (1, 2)), rel=1e-6)
    assert found.params["fc.b"][0] == pytest.approx(slope("fc.b", (0,)), rel=1e-6)
    assert found.inputs[0] is not None
    assert found.inputs[0][1, 3] == pytest.approx(slope("x", (1, 3)), rel=1e-6)
    assert found.inputs[1] is None
    alone = compile(network(), backend).gradients(weights, x, k, cotangents=[None, cotangents[1]])
    assert np.abs(alone.params["fc.w"] - found.params["fc.w"]).max() > 1e-3


def test_gradients_of_what_does_not_matter_are_zero(backend: str) -> None:
    x, w = leaf("x", (2,)), param("w", (3,), initial("zeros"))
    found = compile(Graph("g", (x,), (make(OPS["floor"](), (x,)).outputs[0],), (w,)), backend).gradients(
        {"w": np.ones(3)}, np.ones(2)
    )
    assert found.params["w"].tolist() == [0, 0, 0]
    assert np.asarray(found.inputs[0]).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"weights": {}}, "E502"),
        ({"weights": {"fc.w": np.zeros((4, 3)), "fc.b": np.zeros(4)}}, "E504"),
        ({"x": np.zeros((2, 5))}, "E511"),
        ({"x": np.zeros((2, 4), complex)}, "E517"),
        ({"k": 1.5}, "E517"),
        ({"k": np.zeros(2, int)}, "E511"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_runs(change: dict[str, object], code: str) -> None:
    weights, x, k = arrays()
    given: dict[str, object] = {"weights": weights, "x": x, "k": k, **change}
    with pytest.raises(ArchitraveError, match=code):
        compile(network(), "numpy").run(given["weights"], given["x"], given["k"])  # type: ignore[arg-type]


def test_integers_may_enter_as_floats(backend: str) -> None:
    weights, x, k = arrays()
    outputs = compile(network(), backend)(weights, np.ones_like(x, int), k)
    np.testing.assert_allclose(outputs[0], interpret(network(), [np.ones_like(x), k], weights).outputs[0])


def test_a_missing_framework_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    weights, x, k = arrays()
    program = compile(network(), "torch")
    with pytest.raises(ArchitraveError, match=r"torch is not installed(.|\n)*pip install 'architrave\[torch\]'"):
        program(weights, x, k)


def test_jax_keeps_the_users_precision() -> None:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    weights, x, k = arrays()
    assert compile(network(), "jax")(weights, x, k)[0].dtype == np.float64
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.zeros(1).dtype == (np.float64 if before else np.float32)


def test_tracebacks_show_the_program() -> None:
    module = load("def fail():\n    raise ValueError('no')  # net.arch:3\n", "x y")
    with pytest.raises(ValueError, match="no") as caught:
        module.fail()
    assert "raise ValueError('no')  # net.arch:3" in "".join(traceback.format_exception(caught.value))


def test_a_program_that_is_gone_leaves_nothing() -> None:
    program = compile(network(), "numpy")
    name = program.native.__name__
    assert sys.modules[name] is program.native
    del program
    gc.collect()
    assert name not in sys.modules


COUNT = """
block Count()(x: [N, 3]) -> [N, 3] {
    state seen: [3] = zeros
    seen := 0.5 * seen + mean(x, axis = 0)
    return x + seen
}
model Counts()(x: [N, 3]) -> [N, 3] {
    again = Count()
    return x -> first: Count -> again -> again
}
"""


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_states_that_are_updated_in_both_modes(backend: str, training: bool) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)
    graph = loads(COUNT)
    weights = {path: w.astype(np.float64) for path, w in init(graph, 0).items()}
    x = np.random.default_rng(0).normal(size=(4, 3))
    expected = interpret(graph, [x], weights, training)
    found = compile(graph, backend).run(weights, x, training=training)
    assert expected.updates.keys() == found.updates.keys() == weights.keys()
    for path, new in expected.updates.items():
        np.testing.assert_allclose(found.updates[path], new, rtol=1e-12)
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], rtol=1e-12)
