"""Tune mode: a fold that is not hoisted computes its weights anew in each run, and is trained through.

You, Guo, Long and others, "Efficient ConvBN Blocks for Transfer Learning and Beyond" (2024).
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import memory, parameters
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.types import DType
from architrave.passes import apply
from tests.reparam.blocks import Array, drawn

RNG = np.random.default_rng(0)

IMPORTS = """
from std.conv import conv1d, conv2d, conv3d
from std.norm import batch_norm
"""
NETWORKS = {
    "one": ("x -> conv2d(6, bias = false) -> batch_norm", (3, 8, 7), 1),
    "biased": ("x -> conv2d(6, 3, stride = 2) -> batch_norm(eps = 1e-3)", (3, 8, 7), 1),
    "depthwise": ("x -> conv2d(4, 3, groups = 4) -> batch_norm", (4, 8, 7), 1),
    "in one dimension": ("x -> conv1d(5, 4, padding = 2) -> batch_norm", (3, 9), 1),
    "in three": ("x -> conv3d(5, 2, dilation = 2) -> batch_norm", (3, 5, 6, 7), 1),
    "two in a row": (
        "x -> conv2d(6, bias = false) -> batch_norm -> relu -> conv2d(4, groups = 2) -> batch_norm -> relu",
        (3, 8, 7),
        2,
    ),
}


def given(name: str) -> tuple[Graph, Graph, dict[str, Array], Array]:
    """A network in evaluation mode and in tune mode, its weights and an input."""
    body, shape, _ = NETWORKS[name]
    graph = architrave.loads(f"{IMPORTS}\nmodel M()(x: [N, {', '.join(map(str, shape))}]) = {body}\n")
    weights = drawn(graph)
    evaluation, tune = (apply(graph, passes).graph for passes in ("inference", "inference,reparam"))
    return evaluation, tune, weights, RNG.normal(size=(2, *shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_those_of_evaluation(name: str) -> None:
    evaluation, tune, weights, x = given(name)
    assert parameters(tune) == parameters(evaluation)
    params = [path_of(w) for w in evaluation.weights if isinstance(w.op, Param)]
    cotangent = RNG.normal(size=interpret(evaluation, [x], weights).outputs[0].shape)
    old, new = (interpret(with_gradients(g), [x, cotangent], weights).outputs for g in (evaluation, tune))
    assert len(new) == 2 + len(params)
    for a, b in zip(old, new, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12 * np.abs(a).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_one_feature_map_less_is_kept_for_each_block(name: str) -> None:
    evaluation, tune, _, _ = given(name)
    maps = [node.outputs[0] for node in evaluation.nodes if node.op.name == "batch_norm"]
    assert len(maps) == NETWORKS[name][2]
    assert "batch_norm" not in {node.op.name for node in tune.nodes}
    assert kept(evaluation) - kept(tune) == sum(8 * prod(map(int, v.shape[1:])) for v in maps)


def kept(graph: Graph) -> int:
    """The bytes of activations that each example adds; the weights that tune mode computes are for all of them."""
    one, two = (memory(graph, {"N": count}, DType.F64).total for count in (1, 2))
    return two - one
