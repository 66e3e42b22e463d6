"""Wanda and SparseGPT: layer after layer, by what each is given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.record.columns import columns
from architrave.record.compensate import compensated
from architrave.sparsity.masks.density import total
from architrave.sparsity.masks.masked import kept, layers, masks
from architrave.sparsity.masks.pattern import NM, Block
from architrave.sparsity.scores.layerwise import Rows
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.sparsity.scores.sparsegpt import SparseGPT
from architrave.sparsity.scores.wanda import chosen
from architrave.train import Dataset

NETWORK = architrave.loads("""
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 4, 6, 6]) -> [N, 4] {
    x = x -> a: conv2d(8) -> n: batch_norm -> relu -> b: conv2d(8, groups = 2) -> tanh
    param q: [8, 12] = normal(std = 0.3)
    return (x -> global_avg_pool) @ q -> tanh -> head: linear(4)
}
""")
MASKED = apply(NETWORK, "mask")
WEIGHTS = MASKED.weights(architrave.init(NETWORK))
rng = np.random.default_rng(0)
DATA = Dataset(((rng.normal(size=(64, 4, 6, 6)) * np.array([4.0, 1.0, 0.1, 1.0])[:, None, None]).astype(np.float32),))


def task(method: str, **plan: Any) -> Task:
    return Task(MASKED.graph, WEIGHTS, Plan(method=method, backend="numpy", **plan), DATA)


def correlated(inputs: int = 48, outputs: int = 20, outlier: int = 5) -> tuple[Array, Array]:
    """A weight and correlated inputs, one of them large."""
    x = rng.normal(size=(500, inputs)) @ rng.normal(size=(inputs, inputs)) * 0.2
    x[:, outlier] *= 20
    return rng.normal(size=(outputs, inputs)), x


def error(weight: Array, new: Array, x: Array) -> float:
    return float(np.square(x @ (weight - new).T).mean())


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize("density", [0.5, 0.13, 1.0])
def test_counts_are_exact(method: str, density: float) -> None:
    found = masks(MASKED.graph, METHODS[method](task(method, density=density)))
    assert list(found) == ["a.weight", "b.weight", "q", "head.weight"]
    assert kept(found) == total(sum(mask.size for mask in found.values()), density)


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_two_of_four_inputs(method: str) -> None:
    network = apply(NETWORK, "mask{only=!head}")
    one = replace(
        task(method, pattern=NM(2, 4)), graph=network.graph, weights=network.weights(architrave.init(NETWORK))
    )
    found = METHODS[method](one)
    for layer in layers(one.graph):
        assert layer.axes is not None
        moved = np.moveaxis(found[layer.mask], layer.axes.inputs[0], -1).reshape(-1, 4)
        assert (moved.sum(axis=1) == 2).all()
        assert not found[layer.path][~found[layer.mask]].any()


def test_wanda_scores_by_what_the_layers_are_given() -> None:
    """Of a convolution: by the length of each place of its windows. A dense weight changes nothing in front of it."""
    found = METHODS["wanda"](task("wanda", density=0.25))
    weight = WEIGHTS["a.weight"].reshape(8, -1)
    node = next(node for node in MASKED.graph.nodes if node.op.name == "conv")
    norms = np.sqrt(np.square(columns(node, DATA.inputs[0].astype(np.float64))[0]).mean(axis=0))
    scores = np.abs(weight) * norms
    for row, mask in zip(scores, found["a.weight_mask"].reshape(8, -1), strict=True):
        assert mask.sum() == 9
        assert row[mask].min() >= row[~mask].max()
    assert found["a.weight_mask"][:, 0].sum() > 3 * found["a.weight_mask"][:, 2].sum()
    # Weights whose inputs are not recorded go by magnitude.
    q = np.abs(WEIGHTS["q"])
    for column, mask in zip(q.T, found["q_mask"].T, strict=True):
        assert column[mask].min() >= column[~mask].max()


def test_later_layers_see_sparse_ones() -> None:
    """The inputs of the second layer are those that the sparse first one gives."""
    network = architrave.loads("""
    from std.linear import linear
    model Net()(x: [N, 2]) -> [N, 1] = x -> a: linear(2, false) -> b: linear(1, false)
    """)
    masked = apply(network, "mask")
    # The first layer loses the number that its second output lives on.
    weights = masked.weights(
        {
            "a.weight": np.array([[1.0, 0.2], [0.5, 0.6]], np.float32),
            "b.weight": np.array([[1.0, 1.2]], np.float32),
        }
    )
    data = Dataset((np.array([[0.5, 1.0], [0.5, -1.0]], np.float32),))
    found = METHODS["wanda"](Task(masked.graph, weights, Plan(0.5, "wanda", backend="numpy"), data))
    assert found["a.weight_mask"].tolist() == [[True, False], [False, True]]
    assert found["b.weight_mask"].tolist() == [[False, True]]


@pytest.mark.parametrize("few", [None, NM(2, 4)], ids=str)
def test_sparsegpt_makes_up_for_what_goes(few: NM | None) -> None:
    """On inputs that depend on one another: less error than by Wanda, and that less than by magnitude."""
    weight, x = correlated()
    hessian = x.T @ x / len(x)
    rows = Rows(weight, hessian, weight.size // 2, few)
    by_magnitude, _ = chosen(replace(rows, hessian=np.eye(len(hessian))))
    by_wanda, same = chosen(rows)
    by_hessian, new = SparseGPT(block=16).chosen(rows)
    assert (same == weight).all()
    assert {int(mask.sum()) for mask in (by_magnitude, by_wanda, by_hessian)} == {weight.size // 2}
    assert not new[~by_hessian].any()
    errors = [error(weight, each, x) for each in (weight * by_magnitude, weight * by_wanda, new)]
    assert errors[2] < 0.7 * errors[1] < 0.7 * errors[0]


def test_one_number_goes_as_the_optimal_brain_surgeon_says() -> None:
    """Where all but the first are free to make up for it: `dw = -w_i / [H^-1]_ii * H^-1_i`."""
    weight, x = correlated(6, 1)
    hessian = x.T @ x / len(x)
    mask, new = SparseGPT(damping=0.0, block=1).chosen(Rows(weight, hessian, 6, None))
    assert mask.all()
    np.testing.assert_allclose(new, weight)
    least = np.array(weight)
    inverse = np.linalg.inv(hessian)
    least -= weight[0, 0] / inverse[0, 0] * inverse[0]

    found = compensated(weight, hessian, lambda i, left, _: left[:, i] * (i > 0), damping=0.0)
    np.testing.assert_allclose(found, least, atol=1e-6)


def test_inputs_that_are_always_zero_go_first() -> None:
    weight, x = correlated(16, 4, 1)
    x[:, [3, 8]] = 0
    for choose in (chosen, SparseGPT().chosen):
        mask, _ = choose(Rows(weight, x.T @ x / len(x), 4 * 14, None))
        assert not mask[:, [3, 8]].any()
        assert mask.sum() == 4 * 14


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize(
    ("plan", "data", "code"),
    [
        ({"density": 0.5}, None, "E925"),
        ({"density": 0.5, "distribution": "global"}, DATA, "E925"),
        ({"density": 0.5, "pattern": Block(2, 1)}, DATA, "E926"),
        ({"density": 0.5}, Dataset((np.ones((4, 4, 6, 6)),)), "E915"),
        ({"density": 0.5}, Dataset((np.where(DATA.inputs[0] > 5, np.nan, DATA.inputs[0]),)), "E911"),
    ],
)
def test_what_is_refused(method: str, plan: dict[str, Any], data: Dataset | None, code: str) -> None:
    with pytest.raises(ArchitraveError, match=code):
        METHODS[method](replace(task(method, **plan), data=data))
