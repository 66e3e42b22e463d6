"""Norms that make up for what rounding did to a part of a network: their scales and shifts learn, nothing else.

Li, Li, Li and Zhang, "Norm Tweaking: High-performance Low-bit Quantization of Large Language Models" (2024). The mean
and the variance of each channel behind the part come near to those of the float network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.types import TensorType
from architrave.quantize.descent import Descent
from architrave.record.recorder import Recorder
from architrave.record.walk import Part


@dataclass(frozen=True)
class NormTweaking:
    """What `layerwise` does with a part of the network when its layers are rounded.

    The rate is `rate` at the first part and `growth` times more of it at the last. What makes the loss on all examples
    no smaller is taken back.
    """

    rate: float = 1e-4
    growth: float = 1.0
    epochs: int = 4
    backend: str = "torch"

    def __call__(self, part: Part) -> Mapping[str, Array]:
        """The new scales and shifts of the norms in a part. A part without, or in which nothing is rounded, stays."""
        norms = norm_weights(part.stage.graph)
        (end, *others) = part.stage.end
        is_rounded = any(isinstance(node.op, FakeQuantize) for node in part.stage.graph.nodes)
        if not norms or not is_rounded or others or end.rank < 2 or not isinstance(end.shape[_axis(end)], int):
            return {}
        loss = moments_loss(part.stage.graph)
        targets = [moments(y, _axis(end)) for (y,) in part.walk.record(part.stage, [end], exact=True)]
        batches = [(*x, *target) for x, target in zip(part.walk.stream.changed, targets, strict=True)]
        descent = Descent(self.rate * (1 + self.growth * part.depth), backend=self.backend)
        steps = self.epochs * len(batches)
        found, _ = descent.run(loss, part.walk.weights, norms, (b for _ in range(self.epochs) for b in batches), steps)
        before, after = (self._loss(loss, {**part.walk.weights, **new}, batches) for new in ({}, found))
        return found if after < before else {}

    def _loss(self, loss: Graph, weights: Mapping[str, Array], batches: Sequence[Sequence[Array]]) -> float:
        recorder = Recorder(loss, {"loss": loss.outputs[0]}, self.backend)
        read = {path_of(w): weights[path_of(w)] for w in loss.weights}
        return float(np.mean([found["loss"] for found in recorder.stream(read, batches)]))


def norm_weights(graph: Graph) -> list[str]:
    """The paths of the scales and shifts of layer and RMS norms."""
    norms = (node for node in graph.nodes if isinstance(node.op, LayerNorm | RmsNorm))
    return list(dict.fromkeys(v.op.path for node in norms for v in node.operands[1:] if isinstance(v.op, Param)))


def moments_loss(part: Graph) -> Graph:
    """The mean over channels of how far their means and variances are from given ones, two further inputs [C]."""
    (y,) = part.outputs
    axis = _axis(y)
    axes = tuple(i for i in range(y.rank) if i != axis)
    type = TensorType(y.dtype, (y.shape[axis],))
    mean, var = build.input("mean", type), build.input("var", type)
    of_mean: Value = build.mean(build.abs(build.mean(y, axes=axes) - mean))
    of_var: Value = build.mean(build.abs(build.var(y, axes=axes) - var))
    return replace(part, inputs=(*part.inputs, mean, var), outputs=(of_mean + of_var,))


def moments(y: Array, axis: int) -> tuple[Array, Array]:
    """The mean and the variance of each channel."""
    axes = tuple(i for i in range(y.ndim) if i != axis)
    return np.asarray(y.mean(axes)), np.asarray(y.var(axes))


def _axis(y: Value) -> int:
    """Where channels lie: last in sequences, behind the batch in images."""
    return 1 if y.rank == 4 else y.rank - 1
