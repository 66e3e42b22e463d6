"""Quantization that needs data: programs that run, what is seen of their numbers, and what is chosen by it.

The passes (`architrave.passes`) put quantizers into a network and lower it to integers; what they round by comes from
here: weights in, weights out.

    transformed = apply(network, "deploy,quantize")
    weights = calibrate(transformed.graph, transformed.weights(trained), batches, MSE())
    integers = apply(transformed.graph, "integer,hoist")
"""

from architrave.quantize.calibrate import Seen, calibrate, chosen, observe, weight_scales
from architrave.quantize.observers import (
    MSE,
    OBSERVERS,
    Entropy,
    Integers,
    MinMax,
    MovingAverage,
    Observer,
    Percentile,
    observer,
)
from architrave.quantize.unrounded import unrounded

__all__ = [
    "MSE",
    "OBSERVERS",
    "Entropy",
    "Integers",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "Seen",
    "calibrate",
    "chosen",
    "observe",
    "observer",
    "unrounded",
    "weight_scales",
]
