"""Biases that make up for the mean of what rounding changes.

Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), section 4.2: rounding weights shifts the mean of a layer's results, which the bias can take back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.ops.conv import Conv
from architrave.quantize.layerwise import Task


@dataclass(frozen=True)
class BiasCorrection:
    """A method for `layerwise`: the mean of each channel of a layer becomes what it is in the float network.

    The mean is over examples and places, layer after layer (appendix D of the paper). A layer without a bias stays.
    """

    def __call__(self, task: Task) -> Mapping[str, Array]:
        layer = task.layer
        if layer.bias is None:
            return {}
        (result,) = layer.node.outputs
        axis = 1 if isinstance(layer.node.op, Conv) else result.rank - 1
        exact, rounded = (_mean([y for (y,) in task.record([result], exact)], axis) for exact in (True, False))
        bias = task.walk.weights[layer.bias]
        return {layer.bias: (bias + exact - rounded).astype(bias.dtype)}


def _mean(batches: list[Array], axis: int) -> Array:
    """The mean of each channel over all batches, which count by their size."""
    rest = tuple(i for i in range(batches[0].ndim) if i != axis)
    total = np.sum([y.astype(np.float64).sum(axis=rest) for y in batches], axis=0)
    return np.asarray(total / sum(y.size // y.shape[axis] for y in batches))


def corrected(weight: Array, rounded: Array, bias: Array, mean: Array, groups: int = 1) -> Array:
    """The bias without data: less by what the change of the weight [O, I / groups, *K] makes of the inputs' `mean` [I].

    The mean is taken to be the same at all places, padding included.
    """
    change = (rounded - weight).astype(np.float64)
    taps = change.reshape(groups, len(weight) // groups, change.shape[1], -1).sum(3)
    shift = np.einsum("goi,gi->go", taps, mean.reshape(groups, -1)).reshape(-1)
    return np.asarray((bias - shift).astype(bias.dtype))


def mean_after_relu(shift: Array, scale: Array) -> Array:
    """The mean of `relu(x)` for normal `x` of mean `shift` and deviation `|scale|`: what a batch norm gives.

    Equation 19 of the paper, with `a = 0` and no upper bound.
    """
    deviation = np.abs(scale).astype(np.float64)
    ratio = shift / np.where(deviation > 0, deviation, 1.0)
    density = np.exp(-0.5 * ratio**2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(r / math.sqrt(2)) for r in ratio.ravel()]).reshape(ratio.shape)
    found = deviation * density + shift * (1 - below)
    return np.asarray(np.where(deviation > 0, found, np.maximum(shift, 0.0)))
