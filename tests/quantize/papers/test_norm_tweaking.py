"""Li et al., "Norm Tweaking: High-performance Low-bit Quantization of Large Language Models" (2024)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.norm import LayerNorm
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.quantize.generated import generated
from architrave.quantize.layerwise import ByHessian, layerwise
from architrave.quantize.norm_tweaking import NormTweaking, moments, moments_loss, norm_weights
from architrave.record.walk import Part
from tests.quantize.networks import convs, tokens

RMS = """
from std.linear import embedding, linear
from std.norm import rms_norm

model Net()(text: i64[N, T]) -> [N, T, 12] {
    x = text -> token: embedding(12, 16)
    x = x + (x -> norm1: rms_norm -> up: linear(32, bias = false) -> silu -> down: linear(16, bias = false))
    return x -> norm: rms_norm -> head: linear(12, bias = false)
}
"""


def rms() -> tuple[Graph, dict, list]:
    graph = apply(architrave.loads(RMS), "inference,clean").graph
    rng = np.random.default_rng(1)
    return graph, architrave.init(graph), [(rng.integers(0, 12, (4, 10)),) for _ in range(4)]


@dataclass
class Watched:
    """Tweaking, with the loss of each part on all examples before and after."""

    tweaking: NormTweaking
    losses: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, part: Part):
        new = self.tweaking(part)
        self.losses.append(tuple(self._loss(part, each) for each in ({}, new)))
        return new

    def _loss(self, part: Part, new):
        loss = architrave.compile(moments_loss(part.stage.graph), "numpy")
        weights = {**part.walk.weights, **new}
        read = {w.op.path: weights[w.op.path] for w in loss.graph.weights}
        exact = part.walk.record(part.stage, part.stage.end, exact=True)
        batches = zip(part.walk.stream.changed, exact, strict=True)
        return float(np.mean([loss(read, *x, *moments(y, y.ndim - 1)) for x, (y,) in batches]))


@pytest.mark.parametrize(("network", "numbers"), [(tokens, 2 * 16), (rms, 16)])
@pytest.mark.parametrize("pipeline", ["quantize{bits=2 act=0}", "quantize{bits=3 act=0 group=8}"])
def test_norms_alone_change_and_no_loss_grows(network, numbers, pipeline):
    graph, weights, batches = network()
    made = apply(graph, pipeline)
    start = made.weights(weights)
    rounded = layerwise(made.graph, start, batches, ByHessian())
    watched = Watched(NormTweaking(rate=3e-3, epochs=10, backend="numpy"))
    tweaked = layerwise(made.graph, rounded, batches, lambda task: {}, original=start, finish=watched)
    changed = {path for path in rounded if not np.array_equal(rounded[path], tweaked[path])}
    assert changed
    assert changed <= set(norm_weights(made.graph))
    by_norm = {path.rpartition(".")[0] for path in changed}
    assert all(sum(tweaked[p].size for p in tweaked if p.startswith(f"{norm}.")) == numbers for norm in by_norm)
    assert all(after <= before for before, after in watched.losses)
    assert any(after < before for before, after in watched.losses)


def test_what_is_not_rounded_stays():
    graph, weights, batches = tokens()
    made = apply(graph, "quantize{bits=3 act=0 only=layer.1.*}")
    start = made.weights(weights)
    watched = Watched(NormTweaking(backend="numpy"))
    tweaked = layerwise(made.graph, start, batches, lambda task: {}, finish=watched)
    assert watched.losses[0] == (0, 0)
    assert all(np.array_equal(tweaked[path], start[path]) for path in start if path.startswith(("layer.0.", "token")))
    same = layerwise(graph, weights, batches, lambda task: {}, finish=NormTweaking(backend="numpy"))
    assert all(np.array_equal(same[path], weights[path]) for path in weights)


def test_between_rounding_one_part_and_the_next():
    graph, weights, batches = tokens()
    made = apply(graph, "quantize{bits=2 act=0}")
    start = made.weights(weights)
    finish = NormTweaking(rate=3e-3, epochs=4, backend="numpy")
    found = layerwise(made.graph, start, batches, ByHessian(), finish=finish)
    norms = [n.operands[1].op.path for n in made.graph.nodes if isinstance(n.op, LayerNorm)]
    assert any(not np.array_equal(found[path], start[path]) for path in norms)


def test_a_model_writes_the_text_that_it_is_calibrated_by():
    graph, weights, _ = tokens()
    text = generated(graph, weights, 400, 3)
    assert text.shape == (400, 3)
    assert np.array_equal(text, generated(graph, weights, 400, 3))
    scores = architrave.compile(graph, "numpy")(weights, text)[:, 0].astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    # Over all texts each token comes as often as the model says.
    found = np.bincount(text[:, 1], minlength=12) / 400
    np.testing.assert_allclose(found, chances.mean(0), atol=0.06)


def test_a_network_that_writes_no_text():
    graph, weights, _ = convs()
    with pytest.raises(ArchitraveError) as caught:
        generated(graph, weights, 2, 4)
    assert caught.value.diagnostics[0].code == "E917"
