"""UniRepLKNet: its blocks as PyTorch computes them, the reach of their large kernels, and what merging leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import parameters
from architrave.ir.interpret import interpret
from architrave.passes import apply

torch = pytest.importorskip("torch")
F = torch.nn.functional

CHANNELS = 8
BRANCHES = ((5, 1), (7, 2), (3, 3), (3, 4), (3, 5))
LARGE = """
from std.unireplknet import DilatedReparam
model M()(x: [N, 8, 27, 27]) -> [N, 8, 27, 27] = x -> dwconv: DilatedReparam
"""
BLOCK = """
from std.unireplknet import UniRepLKNetBlock
model M(large: bool = true)(x: [N, 8, 15, 15]) -> [N, 8, 15, 15] = x -> "": UniRepLKNetBlock(large, 0.0, 1.0)
"""

Tensors = Mapping[str, Any]


def random_weights(graph: architrave.Graph, seed: int = 0) -> dict[str, Any]:
    """Float64 weights of which no one is zero or one, with positive variances."""
    rng = np.random.default_rng(seed)
    drawn = {key: rng.normal(0, 0.5, value.shape) for key, value in architrave.init(graph).items()}
    return {key: np.abs(value) + 0.5 if key.endswith("running_var") else value for key, value in drawn.items()}


def layers(w: Tensors) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A depthwise convolution and a normalization in PyTorch, by the names of their weights."""

    def depthwise(x: Any, name: str, dilation: int = 1) -> Any:
        return F.conv2d(x, w[f"{name}.weight"], None, 1, "same", dilation, CHANNELS)

    def normalized(x: Any, name: str) -> Any:
        return F.batch_norm(x, *(w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    return depthwise, normalized


def block(x: Any, w: Tensors, *, large: bool) -> Any:
    """The block of the paper's figure 2, by PyTorch's functions."""
    depthwise, normalized = layers(w)
    if large:
        y = normalized(depthwise(x, "dwconv.lk_origin"), "dwconv.origin_bn")
        for k, r in BRANCHES:
            y = y + normalized(depthwise(x, f"dwconv.dil_conv_k{k}_{r}", r), f"dwconv.dil_bn_k{k}_{r}")
    else:
        y = depthwise(x, "dwconv")
    y = normalized(y, "norm")
    squeezed = F.conv2d(y.mean((2, 3), keepdim=True), w["se.down.weight"], w["se.down.bias"]).relu()
    y = y * F.conv2d(squeezed, w["se.up.weight"], w["se.up.bias"]).sigmoid()
    y = F.gelu(F.linear(y.permute(0, 2, 3, 1), w["pwconv1.1.weight"], w["pwconv1.1.bias"]))
    length = torch.linalg.vector_norm(y, dim=(1, 2), keepdim=True)
    y = (w["act.1.gamma"] * length / (length.mean(-1, keepdim=True) + 1e-6) + 1) * y + w["act.1.beta"]
    y = normalized(F.linear(y, w["pwconv2.0.weight"]).permute(0, 3, 1, 2), "pwconv2.2")
    return x + w["gamma"].view(1, -1, 1, 1) * y


@pytest.mark.parametrize("large", [True, False])
def test_the_block_computes_what_pytorch_does(large: bool) -> None:
    graph = architrave.loads(BLOCK, large=large)
    weights = random_weights(graph)
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, 15, 15))
    wanted = block(torch.from_numpy(x), {key: torch.from_numpy(value) for key, value in weights.items()}, large=large)
    found = architrave.compile(graph, "numpy")(weights, x)
    assert np.abs(found - wanted.numpy()).max() < 1e-12 * np.ptp(wanted.numpy())


def reach(graph: architrave.Graph, weights: Mapping[str, Any]) -> tuple[int, int]:
    """The height and width of the part of the input that the middle of the output depends on."""
    shape = (1, CHANNELS, 27, 27)
    middle = np.zeros(shape)
    middle[:, :, 13, 13] = 1.0
    x = np.random.default_rng(1).standard_normal(shape)
    slope = interpret(with_gradients(graph), [x, middle], weights).outputs[1]
    rows, columns = np.nonzero(np.abs(slope).sum((0, 1)))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_a_large_kernel_and_its_branches_reach_as_far_as_one_kernel() -> None:
    graph = architrave.loads(LARGE)
    assert reach(graph, random_weights(graph)) == (13, 13)


def test_a_large_kernel_and_its_branches_become_one_kernel() -> None:
    graph = architrave.loads(LARGE)
    weights = random_weights(graph)
    merged = apply(graph, "inference,reparam,hoist")
    after = merged.weights(weights)
    assert [value.shape for value in after.values()] == [(CHANNELS, 1, 13, 13), (CHANNELS,)]
    assert [node.op.name for node in merged.graph.nodes if node.operands] == ["conv"]
    x = np.random.default_rng(1).standard_normal((2, CHANNELS, 27, 27))
    wanted = interpret(graph, [x], weights).outputs[0]
    assert np.abs(interpret(merged.graph, [x], after).outputs[0] - wanted).max() < 1e-12 * np.ptp(wanted)
    assert reach(merged.graph, after) == (13, 13)


@pytest.mark.parametrize(("name", "deployed"), [("UniRepLKNetT", 31_037_980), ("UniRepLKNetS", 55_645_984)])
def test_merging_leaves_what_the_authors_deploy(name: str, deployed: int) -> None:
    """One convolution for each of the blocks, with a bias; two linear layers; and no shift in the response norm."""
    merged = apply(architrave.load(name), "inference,reparam,hoist").graph
    operators = [node.op.name for node in merged.nodes]
    assert "batch_norm" not in operators
    assert parameters(merged) == pytest.approx(deployed, rel=1e-3)


def test_a_branch_that_reaches_further_is_an_error() -> None:
    with pytest.raises(architrave.ArchitraveError, match="no further than the large kernel"):
        architrave.loads(LARGE.replace(": DilatedReparam", ": DilatedReparam(kernel = 9)"))
