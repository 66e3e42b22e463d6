"""Networks without normalization: timm's with the same checkpoints, the variances they are built for, folding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Node
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.weights import fit
from tests.reparam.timm_networks import timm, torch
from tests.stdlib.small import SMALL

Array = np.ndarray[Any, Any]
RELU_GAIN = math.sqrt(2 / (1 - 1 / math.pi))
SIZES = {"depths": [1, 2], "widths": [16, 32], "stem": 16}
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dm_nfnet_f0": ("NFNetF0", {"group_width": 4}, {"group_size": 4, "num_features": 64}),
    "nf_resnet50": ("NFResNet50", {"widths": [32, 64]}, {"channels": (32, 64), "skipinit": True, "gamma_in_act": True}),
}
"""By timm's name: ours, and the arguments that make a small one, here and there."""


@pytest.mark.parametrize("backend", ["numpy", "torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("size", [64, 48])
@pytest.mark.parametrize("name", NETWORKS)
def test_timms_checkpoints_give_timms_outputs(
    name: str, size: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(timm.models.nfnet._nonlin_gamma, "relu", RELU_GAIN)  # theirs was measured
    ours, here, there = NETWORKS[name]
    small = {"depths": (1, 2), "channels": (16, 32), "stem_chs": 16, "std_conv_eps": 1e-10, "num_classes": 5, **there}
    theirs = timm.create_model(name, pretrained=False, **small).double().eval().requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(0)
    for value in theirs.state_dict().values():
        value.add_(0.3 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
    graph = architrave.load(ours, classes=5, size=size, **{**SIZES, **here})
    weights = fit({key: value.numpy() for key, value in theirs.state_dict().items()}, graph, "float64")
    image = np.random.default_rng(1).standard_normal((2, 3, size, size))
    wanted = theirs(torch.from_numpy(image)).numpy()
    found = architrave.compile(graph, backend)(weights, image)
    assert np.abs(np.asarray(found) - wanted).max() <= 1e-10 * np.ptp(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_whole_network_has_timms_weights(name: str) -> None:
    graph = architrave.load(NETWORKS[name][0])
    theirs = timm.create_model(name, pretrained=False, **({} if "dm" in name else {"skipinit": True}))
    # `fit` is strict: a key too many or too few, or another shape, is an error.
    fit({key: value.numpy() for key, value in theirs.state_dict().items()}, graph)


def expected(activation: Any) -> float:
    """What makes the variance of an activation of normal numbers 1, by quadrature."""
    z = np.linspace(-12, 12, 2_000_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    y = activation(z)
    mean = (density * y).sum()
    return float(1 / math.sqrt((density * (y - mean) ** 2).sum()))


def test_gains() -> None:
    """That of `gelu` is the published one, which was measured."""
    graph = architrave.loads(
        "from std.nfnet import scaled_relu, scaled_gelu\nmodel M()(x: [2]) = (scaled_relu(x), scaled_gelu(x))"
    )
    relu, gelu = interpret(graph, [np.array([1.0, 40.0])]).outputs
    assert relu[0] == pytest.approx(1.71286, abs=1e-5)
    assert relu[0] == pytest.approx(expected(lambda z: np.maximum(z, 0)), rel=1e-6)
    phi = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
    assert gelu[1] / 40 == pytest.approx(expected(lambda z: z * phi(z)), rel=1e-2)


STAGES = """
from std.nfnet import NFStages, scaled_relu
model M()(x: [N, 32, 16, 16]) =
    x -> "": NFStages([128, 256], [4, 3], [1, 1], 0.5, 0, 0.2, scaled_relu, 1, 0.0, "same")
"""


def test_variances_are_those_it_was_built_for() -> None:
    """1 plus `alpha ** 2` for each block since a transition, within 10 %, whatever the depth; and no mean grows.

    A transition changes the channels here: the mean of pixels that do not depend on one another varies less than each.
    """
    graph = architrave.loads(STAGES)
    weights = {
        path: np.ones_like(w) if "skipinit" in path else w for path, w in architrave.init(graph, 1, np.float64).items()
    }
    outputs: dict[str, Array] = {}

    def keep(node: Node, values: tuple[Array, ...]) -> None:
        if str(node.place).count(".") == 2 and values[0].ndim == 4:
            outputs[str(node.place)] = values[0]

    interpret(graph, [np.random.default_rng(0).standard_normal((8, 32, 16, 16))], weights, observe=keep)
    predicted = {f"stages.{s}.{i}": 1 + (i + 1) * 0.2**2 for s, depth in enumerate([4, 3]) for i in range(depth)}
    assert list(outputs) == list(predicted)
    for place, y in outputs.items():
        assert y.var((0, 2, 3)).mean() == pytest.approx(predicted[place], rel=0.1), place
        assert (y.mean((0, 2, 3)) ** 2).mean() < 0.1, place


def test_blocks_start_as_their_shortcuts() -> None:
    graph = architrave.loads("from std.nfnet import NFBlock\nmodel M()(x: [N, 8, 6, 6]) = x -> NFBlock(8, 4)")
    x = np.random.default_rng(0).standard_normal((2, 8, 6, 6))
    np.testing.assert_array_equal(interpret(graph, [x], architrave.init(graph, 0, np.float64)).outputs[0], x)


@pytest.mark.parametrize("name", ["NFNetF0", "NFResNet50"])
def test_folding_leaves_plain_convolutions(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    weights = {path: w + 0.1 for path, w in architrave.init(graph, 0, np.float64).items()}
    folded = apply(graph, "inference,reparam,simplify,hoist")
    x = np.random.default_rng(0).standard_normal((2, 3, 32, 32))
    (before,) = interpret(graph, [x], weights).outputs
    (after,) = interpret(folded.graph, [x], folded.weights(weights)).outputs
    np.testing.assert_allclose(after, before, rtol=1e-5)
    left = {node.op.name for node in folded.graph.nodes}
    assert not left & {"moments", "rsqrt", "sqrt", "var", "norm"}
    assert not any("gain" in path for path in folded.weights(weights))
