"""Networks whose weights are computed: small ones, their weights, and what folding makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.ir.autodiff import grad
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import Param
from architrave.passes import apply

Array = np.ndarray[Any, Any]
Weights = dict[str, Array]

IMPORTS = """
from std.conv import conv2d
from std.hypercomplex import ph_conv, ph_linear, quaternion_weight
from std.hypernetwork import dp_hypernetwork, dp_mlp, mip_hypernetwork, mip_mlp, on_circle
from std.linear import linear
from std.lipschitz import cayley, lipschitz_mlp, sandwich, sandwich_conv2d
from std.lora import lora_conv2d, lora_linear
from std.low_rank import cp_conv2d, cp_kernel
from std.norm import batch_channel_norm, batch_norm, mean_only_batch_norm
from std.weight import conv_of, linear_of, scaled_weight_standardization, spectral_norm, weight_norm
from std.weight import weight_standardization
"""
LEAVES = {"input", "param", "state", "full"}
LAYERS = {"conv", "linear"}
IMAGES, ROWS = "x: [N, 4, 7, 6]", "x: [N, 4]"


def network(body: str, inputs: str = ROWS) -> Graph:
    return architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) = {body}\n")


def drawn(graph: Graph, seed: int = 0) -> Weights:
    """Random weights, as nothing is zero in training; variances are positive."""
    rng = np.random.default_rng(seed)
    found = {path: a + 0.3 * rng.standard_normal(a.shape) for path, a in architrave.init(graph, 0, np.float64).items()}
    return {path: np.abs(a) + 0.1 if path.endswith("_var") else a for path, a in found.items()}


def inputs_of(graph: Graph, count: int = 3, seed: int = 1) -> list[Array]:
    rng = np.random.default_rng(seed)
    sizes = [[size if isinstance(size, int) else count for size in x.shape] for x in graph.inputs]
    return [rng.standard_normal(size) for size in sizes]


def value(graph: Graph, weights: Weights, *inputs: Array, training: bool = False) -> Array:
    return interpret(graph, inputs, weights, training).outputs[0]


def folded(graph: Graph, weights: Weights, passes: str = "inference,reparam,simplify,hoist") -> tuple[Graph, Weights]:
    result = apply(graph, passes)
    return result.graph, result.weights(weights)


def operators(graph: Graph) -> set[str]:
    return {node.op.name for node in graph.nodes} - LEAVES


def gradients(body: str, weights: Weights, *inputs: Array) -> Weights:
    """Those of the sum of the squares of what a body gives, by path."""
    graph = network(f"sum(square({body}))")
    params = {w.op.path: w for w in graph.weights if isinstance(w.op, Param)}
    found = interpret(grad(graph, wrt=list(params.values())), inputs, weights).outputs
    return dict(zip(params, found, strict=True))
