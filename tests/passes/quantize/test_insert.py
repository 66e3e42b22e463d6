"""Where the pass `quantize` rounds, and what sets the quantizers."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import activation_sites, sites, weight_sites
from tests.stdlib.small import SMALL

NETWORK = """
from std.conv import conv2d, max_pool
from std.linear import linear

model Net()(image: [N, 3, 8, 8]) -> [N, 5] {
    x = image -> stem: conv2d(16, 3) -> relu
    y = x -> one: conv2d(16, 3) -> relu
    z = x -> two: conv2d(16, 1)
    return y + z -> max_pool(2) -> flatten -> head: linear(5)
}
"""


@pytest.fixture(scope="module")
def network() -> Graph:
    return apply(architrave.loads(NETWORK), "inference,clean").graph


def test_each_tensor_is_rounded_once_and_before_it_is_moved(network: Graph) -> None:
    made = apply(network, "quantize").graph
    assert [(site.path or site.value.op.name, site.scale, site.zero) for site in sites(made)] == [
        ("input", "stem.image_scale", "stem.image_zero"),
        ("stem.weight", "stem.weight_scale", None),
        ("relu", "one.x_scale", "one.x_zero"),
        ("one.weight", "one.weight_scale", None),
        ("two.weight", "two.weight_scale", None),
        ("relu", "y_scale", "y_zero"),
        ("conv", "z_scale", "z_zero"),
        ("add", "head.x_scale", "head.x_zero"),
        ("head.weight", "head.weight_scale", None),
    ]


def test_scales_of_weights_take_in_the_largest(network: Graph) -> None:
    rng = np.random.default_rng(0)
    weights = {w.op.path: rng.normal(size=w.shape).astype(np.float32) for w in network.weights}  # type: ignore[union-attr]
    weights["one.weight"][3] = 0
    made = apply(network, "quantize{bits=4}")
    new = made.weights(weights)
    for site in weight_sites(made.graph):
        assert site.path is not None
        rows = np.abs(weights[site.path]).reshape(weights[site.path].shape[0], -1).max(1)
        np.testing.assert_allclose(new[site.scale].ravel(), np.where(rows > 0, rows / 7, 1), rtol=1e-6)
        assert new[site.scale].shape == site.scale_shape
    assert all(new[site.scale] == 1 and new[site.zero] == 0 for site in activation_sites(made.graph))


@pytest.mark.parametrize(
    ("options", "shapes", "bits"),
    [
        ("", {(16, 1, 1, 1), (5, 1), ()}, {8}),
        ("{granularity=tensor act=4}", {()}, {8, 4}),
        ("{group=32}", {(16, 1, 1, 1), (5, 8, 1), ()}, {8}),
        ("{act=0 bits=3}", {(16, 1, 1, 1), (5, 1)}, {3}),
        ("{only=head}", {(5, 1), ()}, {8}),
        ("{symmetric=true}", {(16, 1, 1, 1), (5, 1), ()}, {8}),
    ],
)
def test_options(network: Graph, options: str, shapes: set[tuple[int, ...]], bits: set[int]) -> None:
    made = apply(network, f"quantize{options}").graph
    assert {site.scale_shape for site in sites(made)} == shapes
    assert {site.op.bits for site in sites(made)} == bits
    assert ("symmetric" in options or "act=0" in options) == all(site.zero is None for site in sites(made))


def test_annotations_go_before_options() -> None:
    text = NETWORK.replace("y = x ->", "@quant(weight = 4, act = 6)\n    y = x ->").replace("z = x", "@keep\n    z = x")
    made = apply(architrave.loads(text), "inference,quantize").graph
    assert {site.path: site.op.bits for site in weight_sites(made)} == {
        "stem.weight": 8,
        "one.weight": 4,
        "head.weight": 8,
    }
    assert next(site for site in activation_sites(made) if site.scale == "one.x_scale").op.bits == 6


@pytest.mark.parametrize(
    "pipeline", ["quantize{bits=1}", "quantize{bits=17}", "quantize{act=1}", "quantize{act=-1}", "quantize{group=-2}"]
)
def test_bits_that_cannot_be_had(network: Graph, pipeline: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        apply(network, pipeline)
    assert caught.value.diagnostics[0].code == "E803"


def test_annotated_bits_that_cannot_be_had() -> None:
    with pytest.raises(ArchitraveError, match="asks for no number of bits") as caught:
        apply(architrave.loads(NETWORK.replace("y = x ->", "@quant(weight = 40)\n    y = x ->")), "inference,quantize")
    assert caught.value.diagnostics[0].span is not None


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_network_can_be_rounded(name: str) -> None:
    graph = apply(architrave.load(name, **SMALL[name]), "inference").graph
    made = apply(graph, "quantize{functions=true}").graph
    rounded = [node for node in made.nodes if isinstance(node.op, FakeQuantize)]
    assert len(rounded) == len(sites(made))
    assert not any(isinstance(node.operands[0].op, FakeQuantize) for node in rounded)
