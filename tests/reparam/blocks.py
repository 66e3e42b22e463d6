"""Networks of a few blocks, with random weights, for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result, interpret
from architrave.ir.mode import specialize
from architrave.ir.nested import rebuild_nested

Array = np.ndarray[Any, Any]

IMPORTS = """
from std.attention import attention, cross_attention, linear_attention, simplified_linear_attention
from std.combine import mlp
from std.conv import conv2d
from std.hopfield import hopfield, hopfield_energy, hopfield_layer, hopfield_pooling, hopfield_retrieve, hopfield_step
from std.kan import kan_linear, matrix_basis, recursive_basis, spline_matrix
from std.linear import linear
from std.norm import crms_norm, layer_norm, progressive_norm, rep_norm, rms_norm, scheduled_norm, unified_norm
from std.repmlp import repmlp
from std.residual import residual_stack, rezero, rezero_transformer_layer
from std.scalecrafter import damped_guidance, dispersed_conv2d, redilated_conv2d
from std.spiking import lif, normalized_fire
"""


def network(body: str, inputs: str = "x: [N, 4]") -> Graph:
    return architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) = {body}\n")


def drawn(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Random weights; what a name calls a variance or squares is positive."""
    rng = np.random.default_rng(seed)
    found = {path: rng.normal(size=array.shape) for path, array in architrave.init(graph).items()}
    return {path: np.exp(a) if path.endswith(("_var", "square", "squares")) else a for path, a in found.items()}


def run(graph: Graph, weights: dict[str, Array], *inputs: Array, training: bool = False) -> Result:
    return interpret(graph, inputs, weights, training)


def value(body: str, *inputs: Array, weights: dict[str, Array] | None = None, training: bool = False) -> Array:
    """The first output of a network of `[N, ...]` inputs, which are called x, y and z."""
    named = zip("xyz", inputs, strict=False)
    graph = network(body, ", ".join(f"{name}: [{', '.join(map(str, a.shape))}]" for name, a in named))
    return run(graph, weights or {}, *inputs, training=training).outputs[0]


def operators(graph: Graph, training: bool = False) -> set[str]:
    """The names of the operators that a mode of a network uses, in loops, too."""
    found: set[str] = set()
    rebuild_nested(specialize(graph, training), lambda node, op, operands: found.add(op.name))
    return found
