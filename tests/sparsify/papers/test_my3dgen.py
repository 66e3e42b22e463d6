"""Row `my3dgen`: updates of low rank on every kernel and matrix of a frozen generator with modulated convolutions."""

from __future__ import annotations

import math

import numpy as np
import pytest

import architrave
from architrave.ir import cost
from architrave.ir.build import parse_type
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import path_of
from architrave.passes import Keeps, apply
from architrave.testing import assert_backends_agree
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer
from architrave.train.groups import Group
from architrave.train.step import learning

RNG = np.random.default_rng(109)
TEXT = """from std.stylegan import mapping, synthesis

model G()(z: [N, 8]) -> [N, 3, 16, 16] {
    return z -> mapping: mapping(12, 2) -> synthesis: synthesis([10, 8, 6])
}"""
GRAPH = architrave.loads(TEXT)
WEIGHTS = architrave.init(GRAPH, 0, np.float64)
Z = RNG.normal(size=(2, 8))


def value(graph: architrave.Graph, weights: dict[str, np.ndarray], *x: np.ndarray) -> np.ndarray:
    return interpret(graph, x or [Z], weights).outputs[0]


def adapted(options: str = "rank=3") -> tuple[architrave.Graph, dict[str, np.ndarray]]:
    made = apply(GRAPH, f"lora{{{options}}}")
    assert made.keeps is Keeps.EXACT
    return made.graph, made.weights(WEIGHTS)


def tuned(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights as after training: the updates are no longer 0."""
    return {path: RNG.normal(size=w.shape) if "lora_B" in path else w for path, w in weights.items()}


def sizes(graph: architrave.Graph, rank: int) -> int:
    """`r (f + c k k)` for each kernel and each matrix."""
    matrices = [w.shape for w in graph.weights if path_of(w).endswith("weight")]
    return sum(rank * (shape[0] + math.prod(shape[1:])) for shape in matrices)


@pytest.mark.parametrize("demodulate", ["true", "false"])
def test_a_modulated_convolution_is_one_with_a_kernel_for_each_example(demodulate: str) -> None:
    graph = architrave.loads(
        f"""from std.stylegan import modulated_conv2d
model M()(x: [N, 5, 6, 4], w: [N, 3]) = (x, w) -> c: modulated_conv2d(7, 3, demodulate = {demodulate})"""
    )
    weights, x, w = architrave.init(graph, 1, np.float64), RNG.normal(size=(2, 5, 6, 4)), RNG.normal(size=(2, 3))
    plain = architrave.loads("model P()(x: [N, 5, 6, 4], k: [7, 5, 3, 3]) = op.conv(x, k, padding = [[1, 1], [1, 1]])")
    found = value(graph, weights, x, w)
    for n in range(2):
        style = weights["c.affine.weight"] @ w[n] + weights["c.affine.bias"]
        kernel = weights["c.weight"] * style[:, None, None]
        if demodulate == "true":
            kernel = kernel / np.sqrt((kernel**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
        np.testing.assert_allclose(found[n : n + 1], value(plain, {}, x[n : n + 1], kernel), atol=1e-12)


def test_at_first_the_base_is_reproduced_exactly() -> None:
    graph, weights = adapted()
    np.testing.assert_array_equal(value(graph, weights), value(GRAPH, WEIGHTS))
    again = {path: w for path, w in weights.items() if "lora" not in path}
    assert again.keys() == WEIGHTS.keys()
    assert all((again[path] == WEIGHTS[path]).all() for path in WEIGHTS)


@pytest.mark.parametrize("options", ["rank=3", "rank=2 alpha=8", "rank=1 only=synthesis.b.1.*", "rank=2 frozen=false"])
def test_merged_weights_equal_the_adapter_graph(options: str) -> None:
    graph, weights = adapted(options)
    weights = tuned(weights)
    assert np.abs(value(graph, weights) - value(GRAPH, WEIGHTS)).max() > 1e-3
    merged = apply(graph, "merge-lora")
    assert apply(merged.graph, "unfreeze").graph == GRAPH
    new = merged.weights(weights)
    assert new.keys() == WEIGHTS.keys()
    np.testing.assert_allclose(value(merged.graph, new), value(graph, weights), rtol=0, atol=1e-5)


def test_a_merged_kernel_is_the_base_and_its_reshaped_update() -> None:
    graph, weights = adapted("rank=2 alpha=8")
    weights = tuned(weights)
    new = apply(graph, "merge-lora").weights(weights)
    for layer in ("synthesis.b.2.conv1", "synthesis.b.0.torgb", "mapping.fc.1", "synthesis.b.1.conv0.affine"):
        base = weights[f"{layer}.weight"]
        update = 4 * (weights[f"{layer}.lora_B"] @ weights[f"{layer}.lora_A"]).reshape(base.shape)
        np.testing.assert_allclose(new[f"{layer}.weight"], base + update, rtol=1e-12)


@pytest.mark.parametrize("rank", [1, 4])
def test_adapters_have_the_size_that_is_promised(rank: int) -> None:
    graph, weights = adapted(f"rank={rank}")
    adapters = sum(w.size for path, w in weights.items() if "lora" in path)
    assert adapters == cost.parameters(graph) - cost.parameters(GRAPH) == sizes(GRAPH, rank)


def test_about_06m_numbers_adapt_a_generator_of_30m() -> None:
    """The generator that EG3D has its planes from: 28.7M of 31M, the rest of which are its decoder and upsampler."""
    graph = architrave.loads(
        """from std.stylegan import mapping, synthesis
model Planes()(z: [N, 512]) -> [N, 96, 256, 256] {
    return z -> mapping: mapping(512, 2) -> synthesis: synthesis([512, 512, 512, 512, 512, 256, 128], 96)
}"""
    )
    made = apply(graph, "lora{rank=7}")
    adapters = cost.parameters(made.graph) - cost.parameters(graph)
    assert round(cost.parameters(graph) / 1e6, 1) == 28.7
    assert (adapters, round(adapters / 1e6, 1)) == (sizes(graph, 7), 0.6)


def test_the_generator_of_the_paper_has_its_size() -> None:
    graph = architrave.loads(
        """from std.stylegan import mapping, synthesis
model G()(z: [N, 512]) -> [N, 3, 1024, 1024] {
    widths = [512, 512, 512, 512, 512, 256, 128, 64, 32]
    return z -> mapping: mapping(512, 8) -> synthesis: synthesis(widths)
}"""
    )
    assert cost.parameters(graph) == 30_370_060


def test_updates_learn_and_nothing_else_does() -> None:
    """Decay would change what no gradient flows to: what is frozen does not decay, either."""
    graph = architrave.loads(
        """from std.conv import conv2d
from std.linear import linear
model M()(x: [N, 2, 5, 5]) -> [N, 3] {
    y = x -> c: conv2d(4, 3) -> relu
    return mean(y, axis = [2, 3]) -> head: linear(3)
}"""
    )
    base = architrave.init(graph)
    made = apply(graph, "lora{rank=2}")
    x, y = RNG.normal(size=(8, 2, 5, 5)).astype("f4"), RNG.integers(0, 3, 8)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), 0.1, (Group("*", decay=1.0),))
    weights = made.weights(base)
    trainer = Trainer(made.graph, recipe, Schedule(0.1, 10), parse_type("i64[N]"), backend="numpy", weights=weights)
    for _ in range(3):
        trainer.train(x, y)
    changed = {path for path, w in trainer.weights().items() if (w != weights[path]).any()}
    assert changed == {path for path in weights if "lora" in path}


def test_annotations_freeze() -> None:
    graph = architrave.loads(
        """from std.linear import linear
model M()(x: [N, 4]) -> [N, 2] {
    @frozen
    y = x -> body: linear(3)
    return y -> head: linear(2)
}"""
    )
    made = apply(graph, "freeze{only=@frozen}")
    assert [path_of(e.node.outputs[0]) for e in made.journal.changes] == ["body.weight", "body.bias"]
    assert apply(made.graph, "freeze{only=@frozen}").graph == made.graph
    assert list(learning(made.graph, Recipe(AdamW(), Objective("cross_entropy")))) == ["head.weight", "head.bias"]


def test_backends_agree_on_an_adapted_generator() -> None:
    graph, _ = adapted("rank=2")
    assert_backends_agree(graph, backends=("numpy",), dtypes=("float64",), modes=("inference",))
