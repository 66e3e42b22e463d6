"""The start that weight normalization takes from a batch of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import Param
from architrave.ir.rewrite import kept, rebuild

GAIN, BIAS = "weight_g", "bias"


def calibrate(network: Graph, weights: Mapping[str, Any], *inputs: Any) -> dict[str, Array]:
    """The weights, with gains and biases by which each output of weight-normalized layers has mean 0 and deviation 1.

    That is so on the batch `inputs`, over its examples and positions, in inference mode and layer after layer. The
    layers are linear maps and convolutions with a bias beside a gain `weight_g`, as `std.weight.weight_norm` names it,
    and not inside loops. An output that does not vary keeps its gain. Salimans and Kingma, "Weight Normalization"
    (2016), section 3. Raises E510 to E513 as a run does.
    """
    graph, moments = _normalized(specialize(network, training=False))
    outputs = tuple(value for pair in moments.values() for value in pair)
    found = interpret(replace(graph, outputs=outputs, updates=()), inputs, weights).outputs
    new = {path: np.asarray(weight) for path, weight in weights.items()}
    for layer, mean, std in zip(moments, found[::2], found[1::2], strict=True):
        gain, bias = new[layer + GAIN], new[layer + BIAS]
        new[layer + GAIN] = (gain / std.reshape(gain.shape)).astype(gain.dtype)
        new[layer + BIAS] = ((bias - mean.reshape(bias.shape)) / std.reshape(bias.shape)).astype(bias.dtype)
    return new


def _normalized(graph: Graph) -> tuple[Graph, dict[str, tuple[Value, Value]]]:
    """The network as it will be, and the mean and deviation that each layer has before, in the order of their use."""
    gains = {weight.op.path for weight in graph.weights if isinstance(weight.op, Param)}
    found: dict[str, tuple[Value, Value]] = {}

    def normalized(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        layer = _layer(node)
        if layer is None or layer + GAIN not in gains:
            return None
        (y,) = kept(node, operands)
        # A layer that is used again has the gain that its first use calls for.
        mean, std = found.setdefault(layer, _moments(y, 1 if isinstance(node.op, Conv) else y.rank - 1))
        return ((y - mean) / std,)

    return rebuild(graph, normalized), found


def _layer(node: Node) -> str | None:
    """The path of a layer, with a dot at its end where it has one."""
    if not isinstance(node.op, Linear | Conv) or len(node.operands) < 3:
        return None
    match node.operands[2].op:
        case Param(path=path) if path.rpartition(".")[2] == BIAS:
            return path.removesuffix(BIAS)
        case _:
            return None


def _moments(y: Value, channels: int) -> tuple[Value, Value]:
    axes = tuple(axis for axis in range(y.rank) if axis != channels)
    std = build.std(y, axes=axes, keep=True)
    return build.mean(y, axes=axes, keep=True), build.where(std > 1e-8, std, 1.0)
