"""fast-sparse-convnets: only 1x1 convolutions are pruned, by single numbers or blocks of outputs, and run as SpMM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.sparse import PointwiseSparse
from architrave.passes import apply
from architrave.passes.select import PREDICATES
from architrave.sparsity.execution.formats import sparse_execution
from architrave.sparsity.masks.masked import Masks, layers, masks, with_masks
from architrave.sparsity.masks.pattern import Block
from architrave.sparsity.masks.selection import select

SMALL = {"classes": 5, "width": 0.25, "stages": [(64, 1, 1), (128, 2, 2)], "size": 16}
BLOCKS = [Block(1, 1), Block(2, 1), Block(4, 1)]


def first_weights(graph: Graph) -> dict[str, Any]:
    """Weights that need not be good, but come fast."""
    rng: Any = np.random.default_rng(0)
    shapes = {path_of(w): tuple(size for size in w.shape if isinstance(size, int)) for w in graph.weights}
    scales = {path: max(1, int(np.prod(shape[1:]))) ** -0.5 for path, shape in shapes.items()}
    drawn = {path: (rng.standard_normal(shape) * scales[path]).astype(np.float32) for path, shape in shapes.items()}
    return {path: 1 + abs(w) if path.endswith("running_var") else w for path, w in drawn.items()}


def pruned(network: Graph, pattern: Block, distribution: str = "uniform") -> tuple[Graph, dict[str, Any]]:
    """A network with masks everywhere, of which those of 1x1 convolutions leave a tenth."""
    made = apply(network, "mask")
    weights = made.weights(first_weights(network))
    pointwise = [layer for layer in layers(made.graph) if _is_pointwise(made.graph, layer.path)]
    scores = {layer.path: np.abs(weights[layer.path]) for layer in pointwise}
    return made.graph, with_masks(made.graph, weights, select(pointwise, scores, 0.1, pattern, distribution))


def _is_pointwise(graph: Graph, path: str) -> bool:
    nodes = (node for node in graph.nodes if isinstance(node.op, Conv) and PREDICATES["pointwise"](node))
    return any(path_of(node.operands[1].node.operands[1]) == path for node in nodes)


def kept(found: Masks, pointwise: bool) -> dict[str, np.ndarray[Any, Any]]:
    return {path: mask for path, mask in found.items() if path.endswith("pointwise.0.weight") is pointwise}


@pytest.mark.parametrize("distribution", ["uniform", "global"])
def test_a_tenth_of_the_pointwise_weights_stays(distribution: str) -> None:
    found = masks(*pruned(architrave.load("mobilenet_v1"), Block(1, 1), distribution))
    pointwise, others = kept(found, pointwise=True), kept(found, pointwise=False)
    assert len(pointwise) == 13
    assert sum(mask.size for mask in pointwise.values()) == 3_139_584
    assert sum(int(mask.sum()) for mask in pointwise.values()) == 313_958
    assert set(others) == {"stem.0.weight", "classifier.weight", *(f"layer.{i}.depthwise.0.weight" for i in range(13))}
    assert all(mask.all() for mask in others.values())


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_masks_are_constant_in_each_block(block: Block) -> None:
    found = kept(masks(*pruned(architrave.load("mobilenet_v1", **SMALL), block)), pointwise=True)
    cut = [mask.reshape(len(mask) // block.outputs, block.outputs, -1) for mask in found.values()]
    assert all((mask == mask[:, :1]).all() for mask in cut)
    units = sum(mask.size // block.outputs for mask in found.values())
    assert sum(int(mask[:, 0].sum()) for mask in cut) == round(0.1 * units)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_spmm_equals_the_masked_convolution(block: Block, backend: str) -> None:
    network = architrave.loads("""
    from std.conv import conv2d
    model M()(x: [N, 32, 6, 7]) = x -> conv: conv2d(64, 1, bias = false)
    """)
    _check(*pruned(network, block), backend, np.random.default_rng(1).standard_normal((3, 32, 6, 7)))


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_network_computes_the_same(block: Block) -> None:
    graph, weights = pruned(architrave.load("mobilenet_v1", **SMALL), block)
    image = np.random.default_rng(1).standard_normal((2, 3, 16, 16))
    assert _check(apply(graph, "inference").graph, weights, "torch", image) == 3


def _check(graph: Graph, weights: dict[str, Any], backend: str, x: np.ndarray[Any, Any]) -> int:
    """Compares masked dense code with SpMM, and gives how many of these there are."""
    found = sparse_execution(graph, weights, backend, timer=lambda *given: [1.0, *(0.1 for _ in given[3])])
    image = x.astype(np.float32)
    before = architrave.compile(graph, backend)(weights, image)
    after = architrave.compile(found.graph, backend)(found.weights, image)
    assert np.abs(before - after).max() < 1e-5 * max(1.0, np.abs(before).max())
    return sum(isinstance(node.op, PointwiseSparse) for node in found.graph.nodes)
