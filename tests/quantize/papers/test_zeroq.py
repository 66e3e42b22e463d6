"""Cai et al., "ZeroQ: A Novel Zero Shot Quantization Framework" (2020)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import architrave
from architrave.ir.mode import specialize
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import activation_sites
from architrave.quantize.allocate import divergences, frontier, within
from architrave.quantize.calibrate import calibrate
from architrave.quantize.descent import Descent
from architrave.quantize.distil import Distillation, matching, statistics
from architrave.record import Recorder
from architrave.record.running import reestimate
from tests.quantize.networks import tokens

TEXT = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Net(width: int = 8)(image: [N, 3, 8, 8]) -> [N, 5] {
    x = image -> stem: conv2d(width, 3) -> bn0: batch_norm -> relu
    x = x + (x -> conv: conv2d(width, 3) -> bn1: batch_norm -> relu)
    x = x -> down: conv2d(2 * width, 3, stride = 2) -> bn2: batch_norm -> relu
    return x -> global_avg_pool -> head: linear(5)
}
"""
QUICK = Distillation(steps=100, descent=Descent(0.5, "cosine", backend="numpy"))


def trained():
    """A network whose batch norms have seen images, as they would have in training, and such images."""
    graph = architrave.loads(TEXT)
    weights = architrave.init(graph)
    rng = np.random.default_rng(5)
    images = (rng.normal(size=(64, 3, 8, 8)).cumsum(3) * 3 + 4).astype(np.float32)
    return graph, reestimate(graph, weights, [(images,)], backend="numpy"), images


def test_distilled_inputs_have_the_statistics_that_were_seen():
    graph, weights, _ = trained()
    inputs, losses = QUICK.run(graph, weights, 16)
    assert inputs.shape == (16, 3, 8, 8)
    plain = specialize(graph, training=False)
    norms = statistics(plain)
    found = Recorder(plain, {str(i): n.operands[0] for i, n in enumerate(norms)}, "numpy").run(weights, (inputs,))
    total = 0.0
    for i, norm in enumerate(norms):
        mean, var = (weights[v.op.path] for v in norm.operands[1:3])
        x, eps = found[str(i)].astype(np.float64), norm.op.eps
        total += np.square(x.mean((0, 2, 3)) - mean).sum()
        total += np.square(np.sqrt(x.var((0, 2, 3)) + eps) - np.sqrt(var + eps)).sum()
    assert total < 0.1 * losses[0]
    program = architrave.compile(matching(graph, 16), "numpy")
    held = {**weights, "distilled": inputs}
    np.testing.assert_allclose(program({w.op.path: held[w.op.path] for w in program.graph.weights}), total, rtol=1e-3)


def test_ranges_of_activations_come_from_distilled_inputs():
    graph, weights, images = trained()
    inputs, _ = QUICK.run(graph, weights, 32)
    folded = apply(graph, "deploy")
    held = folded.weights(weights)
    made = apply(folded.graph, "quantize")
    scales = [site.scale for site in activation_sites(made.graph)]
    noise = np.random.default_rng(0).normal(size=inputs.shape).astype(np.float32)
    found = [calibrate(made.graph, made.weights(held), [(x,)], backend="numpy") for x in (images, inputs, noise)]
    real, distilled, drawn = (np.log([ready[path] for path in scales]) for ready in found)
    assert np.abs(distilled - real).max() < np.log(3)
    assert np.abs(distilled - real).mean() < 0.5 * np.abs(drawn - real).mean()


def test_the_frontier_is_that_of_all_choices():
    rng = np.random.default_rng(0)
    widths = (2, 4, 8)
    numbers = {f"layer{i}": int(rng.integers(10, 60)) for i in range(6)}
    sizes = {path: {bits: bits * n for bits in widths} for path, n in numbers.items()}
    losses = {path: {bits: float(rng.uniform() * 4.0**-bits) for bits in widths} for path in numbers}
    tried = []
    for chosen in itertools.product(widths, repeat=6):
        bits = dict(zip(numbers, chosen, strict=True))
        tried.append((sum(sizes[p][b] for p, b in bits.items()), sum(losses[p][b] for p, b in bits.items())))
    found = frontier(sizes, losses)
    assert [c.size for c in found] == sorted({c.size for c in found})
    for choice in found:
        assert not any(s <= choice.size and v < choice.loss - 1e-15 for s, v in tried)
        assert sum(sizes[p][b] for p, b in choice.bits.items()) == choice.size
    for budget in (600, 900, 1500, 10_000):
        fitting = [v for s, v in tried if s <= budget]
        if fitting:
            np.testing.assert_allclose(within(found, budget).loss, min(fitting), rtol=1e-12)
    with pytest.raises(ArchitraveError) as caught:
        within(found, 1)
    assert caught.value.diagnostics[0].code == "E918"


def test_one_run_for_each_weight_and_width():
    graph, weights, images = trained()
    folded = apply(graph, "deploy")
    held, runs = folded.weights(weights), []
    paths = [path for path in held if path.endswith("weight")]
    found = divergences(folded.graph, held, [(images[:16],)], paths, (2, 4, 8), progress=runs.append)
    assert len(runs) == 3 * len(paths)
    assert all(found[path][2] > found[path][4] > found[path][8] > 0 for path in paths)
    numbers = {path: held[path].size for path in paths}
    choices = frontier({path: {bits: bits * n for bits in (2, 4, 8)} for path, n in numbers.items()}, found)
    # Eight bits are a quarter of float32.
    assert choices[-1].size == sum(numbers.values()) * 32 // 4
    assert choices[-1].loss < within(choices, sum(numbers.values()) * 4).loss < choices[0].loss


def test_networks_that_have_nothing_to_distil_from():
    for graph in (
        tokens()[0],
        architrave.loads(
            TEXT.replace("-> bn0: batch_norm", "").replace("-> bn1: batch_norm", "").replace("-> bn2: batch_norm", "")
        ),
    ):
        with pytest.raises(ArchitraveError) as caught:
            matching(graph, 4)
        assert caught.value.diagnostics[0].code == "E917"
