"""The step as a graph: what it is, what clipping, accumulation and mixed precision make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pytest
import torch

import architrave
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType
from architrave.ir.verify import verify
from architrave.train import (
    OPTIMIZERS,
    SGD,
    AdamW,
    Clipping,
    Objective,
    Recipe,
    Schedule,
    Trainer,
    optimizer,
    step_graph,
)
from tests.train.networks import BACKENDS, CONVNET, INNER, MLP, convnet_data, mlp_data, network, trainer

Array = np.ndarray[Any, Any]
SLOPES = np.random.default_rng(1).normal(size=(3, 4)), np.random.default_rng(2).normal(size=4)


def convnet_step() -> Graph:
    recipe = Recipe(AdamW(), Objective("cross_entropy"), 0.01, clipping=Clipping(norm=1.0))
    return step_graph(network(CONVNET), recipe, convnet_data().target_type(network(CONVNET)))


def test_it_is_a_graph_like_any_other() -> None:
    """It verifies, and what it prints reads back to an equal graph."""
    graph = convnet_step()
    verify(graph)
    assert architrave.loads(str(graph)) == graph
    assert [v.hint for v in graph.inputs] == ["x", "target", "rate"]


def test_the_oracle_runs_it() -> None:
    data = mlp_data()
    one = trainer(MLP, data, AdamW(), "numpy")
    batch = [a[:16] for a in data.arrays]
    expected = interpret(one.graph, [*batch, 1e-2], one.states(), training=True, key=(0, 0))
    loss = one.train(*batch)
    assert loss == pytest.approx(float(expected.outputs[0]), rel=1e-12)
    for path, weight in one.states().items():
        np.testing.assert_allclose(weight, expected.updates.get(path, weight), rtol=1e-9, atol=1e-12)


def moved(clipping: Clipping, pair: tuple[Array, Array] = SLOPES) -> tuple[Array, Array]:
    """The gradients that are left of a pair."""
    trainer = Trainer(network(INNER), Recipe(SGD(), Objective(), clipping=clipping), Schedule(1.0, 1), dtype="float64")
    before = trainer.weights()
    trainer.train(*pair)
    after = trainer.weights()
    return before["matrix"] - after["matrix"], before["vector"] - after["vector"]


@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_by_norm_is_that_of_pytorch(limit: float) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in SLOPES]
    for parameter, slope in zip(parameters, SLOPES, strict=True):
        parameter.grad = torch.from_numpy(slope.copy())
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    for found, parameter in zip(moved(Clipping(norm=limit)), parameters, strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(found, parameter.grad.numpy(), rtol=1e-5)  # PyTorch adds 1e-6 to the norm


def test_clipping_by_value() -> None:
    for found, slope in zip(moved(Clipping(value=0.3)), SLOPES, strict=True):
        np.testing.assert_allclose(found, np.clip(slope, -0.3, 0.3), rtol=1e-12)


def test_adaptive_clipping_is_that_of_optax() -> None:
    """Optax's matrices are `[in, out]`."""
    start = Trainer(network(INNER), Recipe(SGD(), Objective()), Schedule(1.0, 1), dtype="float64").weights()
    rule = optax.adaptive_grad_clip(0.1)
    slopes = {"matrix": SLOPES[0].T, "vector": SLOPES[1]}
    weights = {"matrix": start["matrix"].T, "vector": start["vector"]}
    expected, _ = rule.update(slopes, rule.init(weights), weights)
    matrix, vector = moved(Clipping(adaptive=0.1))
    np.testing.assert_allclose(matrix.T, expected["matrix"], rtol=1e-5)
    np.testing.assert_allclose(vector, expected["vector"], rtol=1e-5)


def test_two_halves_of_a_batch_make_one_step() -> None:
    """Without dropout and batch normalization, whose statistics are those of a part."""
    data = mlp_data(32)
    source = MLP.replace("d: dropout(0.25) -> ", "")
    whole = trainer(source, data, AdamW(), "numpy", decay=0.01)
    halves = trainer(source, data, AdamW(), "numpy", decay=0.01, accumulate=2)
    for _ in range(3):
        whole.train(*data.arrays)
        halves.train(*(a[:16] for a in data.arrays))
        waiting = halves.weights()
        halves.train(*(a[16:] for a in data.arrays))
        assert any((waiting[path] != w).any() for path, w in halves.weights().items())
    for path, weight in whole.weights().items():
        np.testing.assert_allclose(halves.weights()[path], weight, rtol=1e-10, atol=1e-13)


NAMED = """
model Named()(x: [N, 3]) -> [] {
    param half: bf16[3] = normal(std = 1.0)
    param open: [3, 3] = normal(std = 1.0)
    param single: f32[3, 3] = normal(std = 1.0)
    param double: f64[3] = normal(std = 1.0)
    param count: i64[3] = ones
    y = x @ open + x @ single + half * x + double
    return mean(y * y)
}
"""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_keep_the_dtypes_that_they_name(name: str) -> None:
    """Also where gradients, sums and the rate are wider; integers do not learn."""
    recipe = Recipe(optimizer(name), Objective(), 0.1, clipping=Clipping(5.0, 9.0, 0.5), accumulate=2)
    graph = step_graph(network(NAMED), recipe)
    verify(graph)
    assert all(old.type == new.type for old, new in graph.updates)
    one = Trainer(network(NAMED), recipe, Schedule(0.01, 9), dtype="float32")
    before = {path: (w.dtype, w.shape) for path, w in one.states().items()}
    losses = [one.train(np.ones((4, 3), np.float32)) for _ in range(6)]
    assert losses[0] == losses[1] > losses[2] == losses[3] > losses[4]
    assert {path: (w.dtype, w.shape) for path, w in one.states().items()} == before
    assert (one.weights()["count"] == 1).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_mixed_precision_learns_and_keeps_its_weights_wide(backend: str) -> None:
    data = convnet_data()
    full = trainer(CONVNET, data, SGD(0.9), backend, dtype="float32")
    mixed = trainer(CONVNET, data, SGD(0.9), backend, dtype="float32", mixed=True)
    narrow = [n for n in mixed.graph.nodes if any(v.dtype is DType.BF16 for v in n.outputs)]
    assert {n.op.name for n in narrow} >= {"conv", "linear", "matmul", "cast"}
    assert all(v.dtype is DType.FLOAT for v in (mixed.graph.outputs[0], *mixed.graph.weights) if v.dtype.is_float)
    losses = [[t.train(*(a[:32] for a in data.arrays)) for _ in range(20)] for t in (full, mixed)]
    np.testing.assert_allclose(losses[1][:3], losses[0][:3], rtol=0.05)
    assert losses[1][-1] < 0.85 * losses[1][0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return mean(log(y - y))", "the loss of step 1 is"),
        ("return mean(sqrt(0.0 * y))", "the gradients of step 1 are not finite"),
    ],
)
def test_a_step_that_is_not_finite_changes_nothing_and_says_where(backend: str, body: str, told: str) -> None:
    source = f"""
from std.linear import linear
model Bad()(x: [N, 4]) -> [] {{
    y = x -> a: linear(3)
    {body}
}}
"""
    one = Trainer(network(source), Recipe(SGD(0.9), Objective()), Schedule(0.1, 9), backend=backend)
    before = one.states()
    with pytest.raises(ArchitraveError, match="E546") as caught:
        one.train(np.ones((2, 4)))
    (diagnostic,) = caught.value.diagnostics
    assert told in diagnostic.message
    assert diagnostic.span is not None
    assert diagnostic.span.text in body
    assert one.steps == 0
    for path, state in one.states().items():
        np.testing.assert_array_equal(state, before[path])


def test_numbers_that_were_not_finite_before_are_named() -> None:
    data = mlp_data()
    one = trainer(MLP, data, SGD(), "numpy")
    broken = one.states()
    broken["b.bias"][3] = np.inf
    one.restore(broken, 0)
    with pytest.raises(ArchitraveError, match=r"`b\.bias` already holds"):
        one.train(*data.arrays)
    fresh = trainer(MLP, data, SGD(), "numpy")
    with pytest.raises(ArchitraveError, match="the input `x` holds"):
        fresh.train(np.full((4, 8), np.nan), data.arrays[1][:4])


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ((np.ones((4, 8)),), "E510"),
        ((np.ones((4, 7)), np.zeros(4, np.int64)), "E511"),
        ((np.ones((4, 8)), np.zeros(5, np.int64)), "E511"),
        ((np.ones((4, 8)), np.zeros(4)), "E517"),
        ((np.ones((4, 8), np.complex128), np.zeros(4, np.int64)), "E517"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_arrays_that_do_not_fit_are_errors(arrays: tuple[Array, ...], code: str, first: bool) -> None:
    """In the first batch, and in a later one."""
    one = trainer(MLP, mlp_data(), SGD(), "numpy")
    if not first:
        one.train(*mlp_data().arrays)
    with pytest.raises(ArchitraveError, match=code):
        one.train(*arrays)


@pytest.mark.parametrize(
    ("source", "objective", "code"),
    [
        ("model M()(x: [N, 4]) -> [N, 4] { param w: [4] = ones\n return x * w }", Objective(), "E543"),
        ("model M()(x: [N, 4]) -> [] { return sum(x) }", Objective(), "E544"),
        ("model M()(x: [N, 4]) -> [] { param w: [4] = ones\n return sum(x * w) }", Objective("mse"), "E542"),
        ("model M()(x: [N, 4]) -> [] { param w: [4] = ones\n return sum(x * w) }", Objective("mze"), "E542"),
    ],
)
def test_what_cannot_be_trained_is_an_error(source: str, objective: Objective, code: str) -> None:
    with pytest.raises(ArchitraveError, match=code):
        step_graph(network(source), Recipe(SGD(), objective))


def test_a_network_may_not_use_the_optimizer_s_paths() -> None:
    source = """
from std.linear import linear
model M()(x: [N, 4]) -> [] {
    return sum(x -> optimizer: Held)
}
block Held()(x: [N, 4]) -> [N, 4] {
    param count: [4] = ones
    return x * count
}
"""
    with pytest.raises(ArchitraveError, match="E545"):
        step_graph(network(source), Recipe(SGD(), Objective()))
