"""AdaRound: whether each weight is rounded up or down is learnt, so that its layer gives what it gave before.

Nagel, Amjad, van Baalen, Louizos and Blankevoort, "Up or Down? Adaptive Rounding for Post-Training Quantization"
(2020). Between the two neighbours of a weight on its grid lies `floor + h(v)`, where `h` is a sigmoid that reaches 0
and 1; `v` learns, and what is added to the loss pushes `h` to its ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array, known
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.rewrite import rebuild
from architrave.passes.quantize.rounding.sites import Site
from architrave.quantize.descent import Descent, drawn
from architrave.quantize.grid import shaped
from architrave.quantize.layerwise import Task

ABOVE, BELOW = 1.1, -0.1
"""Where the stretched sigmoid ends, before it is cut off at 0 and 1: zeta and gamma of equation 23."""


@dataclass(frozen=True)
class AdaRound:
    """A method for `layerwise`. `weight` is that of the regularizer, whose exponent falls from `begin` to `end`.

    For the first `warmup` of all steps there is no regularizer. The rounding is taken back where the nearest one is no
    worse on the examples.
    """

    steps: int = 1000
    batch: int = 32
    rate: float = 1e-2
    weight: float = 0.01
    begin: float = 20.0
    end: float = 2.0
    warmup: float = 0.2
    backend: str = "torch"
    seed: int = 0

    def __call__(self, task: Task) -> Mapping[str, Array]:
        """The weight of a layer, on its grid."""
        site, grid = task.layer.site, task.grid
        weight = task.weight.reshape(shaped(site))
        graph, learned = soft(task.part, site)
        position = grid.position(weight)
        floor = np.floor(position)
        held = {**task.walk.weights, learned: inverse(position - floor), f"{learned}_floor": floor + grid.zero}
        examples = drawn([np.concatenate(task.inputs), np.concatenate(task.targets)], self.batch, self.steps, self.seed)
        batches = ((*example, *pull) for example, pull in zip(examples, self._pull(), strict=True))
        found, _ = Descent(self.rate, backend=self.backend).run(graph, held, [learned], batches, self.steps)
        ups = rectified(found[learned]) >= 0.5
        learnt = grid.number(np.clip(floor + ups + grid.zero, grid.lo, grid.hi))
        candidates = [w.reshape(task.weight.shape) for w in (learnt, grid.nearest(weight))]
        return {task.layer.path: min(candidates, key=task.error)}

    def _pull(self) -> Iterator[tuple[Array, Array]]:
        """The weight of the regularizer and its exponent, step by step."""
        for step in range(self.steps):
            share = (step / max(self.steps, 1) - self.warmup) / (1 - self.warmup)
            weight = self.weight if share >= 0 else 0.0
            exponent = self.end + 0.5 * (self.begin - self.end) * (1 + np.cos(max(share, 0.0) * np.pi))
            yield np.asarray(weight, np.float32), np.asarray(exponent, np.float32)


def rectified(v: Array) -> Array:
    """`h(v)`: a sigmoid stretched beyond 0 and 1, and cut off there."""
    return np.asarray(np.clip((ABOVE - BELOW) / (1 + np.exp(-v)) + BELOW, 0, 1))


def inverse(h: Array) -> Array:
    """The `v` for which `h(v)` is given, from 0 to 1."""
    return np.asarray(-np.log((ABOVE - BELOW) / (h - BELOW) - 1), np.float32)


def soft(layer: Graph, site: Site) -> tuple[Graph, str]:
    """The loss of a layer whose weight lies between its neighbours, and the path of what decides where.

    It takes what the layer is given, what it is to give, the weight of the regularizer and its exponent. Its weights
    are also the lower neighbours, `..._floor`, in steps.
    """
    path = f"{site.path}_rounding"
    decided, floor = build.param(path, site.value.type), build.state(f"{path}_floor", site.value.type)
    h: Value = build.clip((ABOVE - BELOW) * build.sigmoid(decided) + BELOW, lo=0.0, hi=1.0)

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if node is not site.node:
            return None
        lo, hi = site.op.bounds
        steps: Value = build.clip(floor + h, lo=float(lo), hi=float(hi))
        scale, *zero = operands[1:]
        return [(steps - build.cast(zero[0], scale.dtype) if zero else steps) * scale]

    after = rebuild(layer, rewrite)
    (y,) = after.outputs
    target, weight, exponent = build.input("target", y.type), build.input("weight", "[]"), build.input("exponent", "[]")
    missing = build.mean((y - target) * (y - target)) * float(known(site.value.shape[0]))
    undecided: Value = build.sum(1.0 - build.abs(2.0 * h - 1.0) ** exponent)
    inputs = (*after.inputs, target, weight, exponent)
    weights = (*after.weights, decided, floor)
    return replace(after, inputs=inputs, outputs=(missing + weight * undecided,), weights=weights), path
