"""PAMS: learned ranges of activations, and networks that enlarge images in few bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.autodiff import value_and_grad
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import activation_sites, weight_sites
from architrave.quantize import MovingAverage, calibrate
from architrave.quantize.size import size
from architrave.train import Adam, Dataset, Group, Loop, Objective, Recipe, Schedule, Trainer, run

RNG: Any = np.random.default_rng(0)
LARGEST = {8: 127, 4: 7}


def rounded(bits: int) -> Graph:
    """Numbers in steps of a / largest, and their sum."""
    x, a = build.input("x", "[1000]"), build.param("a", "[]")
    scale = a / float(LARGEST[bits])
    y = build.fake_quantize(x, scale, bits=bits, narrow=True, clipped_only=True)
    return build.graph("pams", [x], [build.sum(y), y])


@pytest.mark.parametrize("bits", [8, 4])
def test_there_are_as_many_levels_on_both_sides(bits: int) -> None:
    x = np.linspace(-3, 3, 1000)
    y = interpret(rounded(bits), [x], {"a": np.array(1.5)}).outputs[1]
    levels = np.unique(y)
    assert len(levels) == 2**bits - 1
    np.testing.assert_allclose(levels, -levels[::-1])
    np.testing.assert_allclose(levels, np.arange(-LARGEST[bits], LARGEST[bits] + 1) * 1.5 / LARGEST[bits])
    clipped = np.clip(x, -1.5, 1.5)
    assert np.abs(y - clipped).max() <= 1.5 / LARGEST[bits] / 2 * (1 + 1e-6)


@pytest.mark.parametrize("bits", [8, 4])
def test_the_range_moves_by_the_signs_of_what_is_cut_off(bits: int) -> None:
    x = RNG.normal(size=1000) + 0.3
    graph = rounded(bits)
    total = build.graph("total", graph.inputs, graph.outputs[:1])
    _, gradient = interpret(value_and_grad(total, total.weights), [x], {"a": np.array(1.0)}).outputs
    # What rounds to the largest integer is not cut off.
    beyond = np.abs(x) >= 1 + 0.5 / LARGEST[bits]
    assert beyond.any()
    np.testing.assert_allclose(gradient, np.sign(x[beyond]).sum(), rtol=1e-6)


def test_eight_bits_in_the_body_store_2_4_times_less() -> None:
    made = apply(
        architrave.load("EDSR"), "quantize{bits=8 act=8 granularity=tensor symmetric=true only=features.body.*}"
    )
    held = [site for site in weight_sites(made.graph) if site.path is not None]
    assert len(held) == 32
    found = size(made.graph, {})
    assert found.numbers == 1_517_571
    assert found.before / found.after == pytest.approx(2.40, abs=0.005)


def test_skips_are_rounded_too() -> None:
    made = apply(architrave.load("EDSR", width=4, depth=1), "clean,quantize{symmetric=true only=features.body.*}")
    sums = [node for node in made.graph.nodes if node.op.name == "add" and str(node.place).startswith("features.body")]
    assert [{v.op.name for v in node.operands} for node in sums] == [{"fake_quantize"}]


def test_the_transfer_of_structure_is_that_of_the_paper() -> None:
    graph = architrave.loads("""
from std.loss import spatial_transfer
model M()(x: [N, 3, 4, 5], teacher: [N, 2, 4, 5]) = spatial_transfer(x, teacher)
""")
    x, teacher = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(2, 2, 4, 5))
    ours, theirs = ((v**2).sum(1).reshape(2, -1) for v in (x, teacher))
    ours, theirs = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (ours, theirs))
    expected = np.linalg.norm(ours - theirs, axis=1).mean()
    np.testing.assert_allclose(interpret(graph, [x, teacher], {}).outputs[0], expected)
    assert interpret(graph, [x, 3 * np.sqrt(1.5) * x[:, :2]], {}).outputs[0] < 1


TAUGHT = """
from std.edsr import Enlarger, Features
from std.loss import l1, spatial_transfer

model Taught()(image: [N, 3, 6, 6], target: [N, 3, 12, 12]) {
    f = image -> features: Features(4, 1)
    told = image -> teacher: Features(4, 1)
    return l1(f -> enlarge: Enlarger([2], 3), target) + 0.1 * spatial_transfer(f, told)
}
"""


def test_a_rounded_network_learns_from_the_float_one() -> None:
    network = architrave.loads(TAUGHT)
    images = RNG.normal(size=(16, 3, 6, 6)).astype(np.float32)
    data = Dataset((images, images.repeat(2, axis=2).repeat(2, axis=3)))
    start = architrave.init(network)
    start |= {path.replace("teacher", "features"): w for path, w in start.items() if path.startswith("teacher")}
    made = apply(network, "quantize{bits=4 act=4 symmetric=true only=features.*},ranges{by=clipping}")
    weights = calibrate(made.graph, made.weights(start), list(data.parts(4)), MovingAverage(0.9), backend="numpy")
    recipe = Recipe(Adam(), groups=(Group("teacher.*", rate=0.0),))
    outcome = run(Trainer(made.graph, recipe, Schedule(1e-2, 40), weights=weights), data, Loop(10, 4))
    assert outcome.history[-1]["loss"] < 0.9 * outcome.history[0]["loss"]
    assert all((outcome.weights[path] == w).all() for path, w in start.items() if path.startswith("teacher"))


def test_ranges_learn_from_averages_on() -> None:
    network = architrave.loads("""
from std.edsr import EDSR
model Small()(image: [N, 3, 6, 6]) = image -> net: EDSR(width = 4, depth = 1, factors = [2])
""")
    images = RNG.normal(size=(16, 3, 6, 6)).astype(np.float32)
    data = Dataset((images,), images.repeat(2, axis=2).repeat(2, axis=3))
    made = apply(network, "quantize{bits=4 act=4 symmetric=true},ranges{by=clipping}")
    batches = [(images[i : i + 4],) for i in range(0, 16, 4)]
    weights = calibrate(
        made.graph, made.weights(architrave.init(network)), batches, MovingAverage(0.9), backend="numpy"
    )
    recipe = Recipe(Adam(), Objective("l1"))
    trainer = Trainer(made.graph, recipe, Schedule(1e-2, 40), data.target_type(made.graph), weights=weights)
    outcome = run(trainer, data, Loop(10, 4))
    assert outcome.history[-1]["loss"] < 0.9 * outcome.history[0]["loss"]
    scales = [site.scale for site in activation_sites(made.graph)]
    assert sum(outcome.weights[scale] != weights[scale] for scale in scales) > len(scales) / 2
