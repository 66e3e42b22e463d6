"""Scores by gradients: SNIP, GraSP, SynFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.record.gradients import Gradients
from architrave.sparsity.masks.masked import density, kept, masks
from architrave.sparsity.masks.pattern import NM
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.sparsity.scores.saliency import SynFlow, grasp, snip
from architrave.train import Dataset, Objective

SOURCE = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 2, 6, 6]) -> [N, 3] {
    x = x -> a: conv2d(8) -> n: batch_norm -> relu -> b: conv2d(8, groups = 2) -> tanh
    return x -> global_avg_pool -> c: linear(12) -> tanh -> head: linear(3)
}
"""
NETWORK = architrave.loads(SOURCE)
MASKED = apply(NETWORK, "mask")
rng = np.random.default_rng(0)
DATA = Dataset((rng.normal(size=(24, 2, 6, 6)),), rng.integers(0, 3, 24))
WEIGHTS = {
    path: w.astype(np.float64) if w.dtype == np.float32 else w
    for path, w in MASKED.weights(architrave.init(NETWORK)).items()
}


def task(**plan: Any) -> Task:
    settings = {"density": 0.3, "distribution": "global", "backend": "numpy", "examples": 24, "batch": 24, **plan}
    return Task(MASKED.graph, WEIGHTS, Plan(**settings), DATA)


def loss_of(weights: dict[str, Any]) -> float:
    graph = Objective("cross_entropy").attached(NETWORK, DATA.target_type(NETWORK))
    names = architrave.init(NETWORK)
    found = architrave.compile(graph, "numpy")({p: weights[p] for p in names}, *DATA.arrays, training=True)
    return float(found)


def test_snip_is_how_much_the_loss_changes_first() -> None:
    """The score of a number is what the loss loses per share of it that goes: a difference quotient says so."""
    scores = snip(task())
    for path, place in (("a.weight", (3, 1, 0, 2)), ("b.weight", (5, 1, 1, 1)), ("head.weight", (2, 7))):
        losses = []
        for share in (1 - 1e-5, 1 + 1e-5):
            changed = {p: w.copy() for p, w in WEIGHTS.items()}
            changed[path][place] *= share
            losses.append(loss_of(changed))
        assert scores[path][place] == pytest.approx(abs(losses[1] - losses[0]) / 2e-5, rel=1e-4)


def test_grasp_is_how_much_the_flow_of_gradients_changes_first() -> None:
    """`g' g / 2` has the gradient `H g`."""
    one = task()
    scores = grasp(one)
    paths = [layer.path for layer in one.layers]
    graph = Objective("cross_entropy").attached(NETWORK, DATA.target_type(NETWORK))
    gradients = Gradients(graph, paths, "numpy", training=True)
    for path, place in (("a.weight", (3, 1, 0, 2)), ("c.weight", (5, 1)), ("head.weight", (2, 7))):
        flows = []
        for share in (1 - 1e-5, 1 + 1e-5):
            changed = {p: w.copy() for p, w in WEIGHTS.items()}
            changed[path][place] *= share
            flows.append(sum(np.square(g).sum() for g in gradients.mean(changed, [DATA.arrays]).values()) / 2)
        assert scores[path][place] == pytest.approx((flows[1] - flows[0]) / 2e-5, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("method", ["snip", "grasp"])
def test_batches_and_backends_agree(method: str) -> None:
    network = architrave.loads("""
    from std.linear import linear
    model Net()(x: [N, 8]) -> [N, 3] = x -> a: linear(12) -> tanh -> b: linear(10) -> relu -> c: linear(3)
    """)
    masked = apply(network, "mask")
    weights = masked.weights(architrave.init(network))
    data = Dataset((rng.normal(size=(24, 8)).astype(np.float32),), DATA.target)
    first = None
    for backend, batch in (("numpy", 24), ("numpy", 5), ("torch", 24), ("jax", 24)):
        plan = Plan(0.3, method, distribution="global", backend=backend, batch=batch)
        found = masks(masked.graph, METHODS[method](Task(masked.graph, weights, plan, data)))
        first = first or found
        assert all((first[path] == mask).all() for path, mask in found.items())
        assert kept(found) == round(0.3 * sum(mask.size for mask in found.values()))


def test_synaptic_flow_goes_on() -> None:
    """Each layer carries as much, and so no layer dies before the others, at any density."""
    network = architrave.loads("""
    from std.linear import linear
    model Net()(x: [N, 20]) -> [N, 5] {
        x = x -> a: linear(300, false) -> relu -> b: linear(10, false) -> relu
        return x -> c: linear(10, false) -> relu -> d: linear(5, false)
    }
    """)
    masked = apply(network, "mask")
    weights = masked.weights(architrave.init(network))
    one = Task(masked.graph, weights, Plan(0.005, "synflow", distribution="global", backend="numpy"))
    total = architrave.compile(network, "numpy")
    flow = {path: np.abs(weights[path].astype(np.float64)) for path in architrave.init(network)}
    whole = total(flow, np.ones((1, 20))).sum()
    found = masks(masked.graph, SynFlow(100)(one))
    assert kept(found) == round(0.005 * 9150)
    assert all(mask.any() for mask in found.values())
    # What is left still leads from inputs to outputs; magnitudes cut the widest layer off.
    left = {path: flow[path] * found[path] for path in flow}
    assert 0 < total(left, np.ones((1, 20))).sum() < whole
    at_once = masks(masked.graph, METHODS["magnitude"](replace(one, plan=replace(one.plan, method="magnitude"))))
    assert not at_once["b.weight"].any()


def test_synflow_of_a_convolutional_network() -> None:
    found = masks(MASKED.graph, SynFlow(20)(task(density=0.1)))
    assert density(found) == pytest.approx(0.1, abs=1e-3)
    nm = architrave.loads("""
    from std.linear import linear
    model Net()(x: [N, 8]) -> [N, 4] = x -> a: linear(8) -> relu -> b: linear(4)
    """)
    masked = apply(nm, "mask")
    plan = Plan(method="synflow", pattern=NM(2, 4), backend="numpy")
    found = masks(masked.graph, SynFlow(8)(Task(masked.graph, masked.weights(architrave.init(nm)), plan)))
    assert all((mask.reshape(-1, 4).sum(1) == 2).all() for mask in found.values())


def test_what_is_refused() -> None:
    no_data = replace(task(), data=None)
    with pytest.raises(ArchitraveError, match="E925"):
        snip(no_data)
    with pytest.raises(ArchitraveError, match="E915"):
        snip(replace(task(), data=Dataset((np.zeros((4, 5)),), np.zeros(4, int))))
    wrong = {**WEIGHTS, "a.weight": np.full_like(WEIGHTS["a.weight"], np.nan)}
    with pytest.raises(ArchitraveError, match="E911"):
        snip(replace(task(), weights=wrong))
    tokens = architrave.loads("""
    from std.linear import embedding, linear
    model Net()(x: i64[N]) -> [N, 4] = x -> a: embedding(5, 8) -> b: linear(4)
    """)
    masked = apply(tokens, "mask")
    with pytest.raises(ArchitraveError, match="E925"):
        SynFlow()(Task(masked.graph, masked.weights(architrave.init(tokens)), Plan(0.5, "synflow")))
