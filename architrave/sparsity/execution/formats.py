"""Multiplying only what is not 0, where that is faster: formats of weights by their zeros and by measured time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.bind import bind_type
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.passes import Pipeline
from architrave.passes.base import Rewritten
from architrave.passes.sparsify.mask import BakeMasks
from architrave.passes.sparsify.sparse import Layer, layers, lowered
from architrave.passes.sparsify.storage import Blocks
from architrave.sparsity.execution.stored import filled
from architrave.sparsity.execution.timing import Timer, seconds, stored_weights

BLOCKS = ((16, 16), (8, 8), (4, 4), (16, 1), (8, 1), (4, 1), (2, 1))
"""The blocks that are looked for, the largest first."""
WASTE = 1.25
"""How many times as much as is not 0 blocks may hold."""
MOST = 0.5
"""Weights of which more than this share is not 0 stay dense, without being timed."""
GAIN = 1.05
"""How many times as fast a layer must be for another format."""


@dataclass(frozen=True)
class Choice:
    """One layer: the seconds that it takes by format, the one that it gets, and why."""

    path: str
    shape: tuple[int, ...]
    nonzeros: int
    seconds: Mapping[str, float]
    storage: Blocks | None
    reason: str

    @property
    def format(self) -> str:
        """`dense`, `csr`, or `bsr 16x16`."""
        return _name(self.storage)

    @property
    def gain(self) -> float:
        """How many times as fast as dense the layer is now."""
        return self.seconds["dense"] / self.seconds[self.format] if self.seconds else 1.0


@dataclass(frozen=True)
class SparseExecution:
    """A network whose layers hold their weights as is fastest with `backend` here, and its weights."""

    graph: Graph
    weights: Mapping[str, Array]
    choices: Sequence[Choice]
    backend: str


def sparse_execution(
    graph: Graph,
    weights: Mapping[str, Any],
    backend: str = "torch",
    *,
    sizes: Mapping[str, int] | None = None,
    held: int = 0,
    timer: Timer = seconds,
) -> SparseExecution:
    """Have each linear layer and 1x1 convolution multiply what is not 0 of its weight alone, where that is faster.

    Each is timed here with `backend`, on inputs of the `sizes` that symbols have (1 for those that are not given),
    dense and with its zeros left out; dense it stays unless it gets faster. Nothing is left out but zeros: the function
    is the same. Masks are baked first. `held` are the bytes of weights that other networks take beside this one, for
    which caches have less room. Raises E929 for sizes of no symbol.
    """
    bound = {**dict.fromkeys(graph.symbols, 1), **(sizes or {})}
    if unknown := [name for name in bound if name not in graph.symbols]:
        known = ", ".join(graph.symbols) or "none"
        raise error("E929", f"`{graph.name}` has no symbolic size `{unknown[0]}`", hint=f"it has {known}")
    baked = Pipeline((BakeMasks(),)).run(graph)
    new = baked.weights(weights)
    watch = _Watch(bound, backend, held + sum(w.nbytes for w in new.values()), timer)
    found = list(layers(baked.graph))
    choices = [watch.choice(layer, new) for layer in found]
    plan = {layer.weight: c.storage for layer, c in zip(found, choices, strict=True) if c.storage is not None}
    after = lowered(baked.graph, plan)
    if not isinstance(after, Rewritten):
        return SparseExecution(baked.graph, new, choices, backend)
    for layer, storage in zip(found, (c.storage for c in choices), strict=True):
        if storage is not None:
            parts = stored_weights(new.pop(layer.path), storage)
            new |= {layer.path + suffix: part for suffix, part in parts.items()}
    return SparseExecution(after.graph, new, choices, backend)


@dataclass
class _Watch:
    """What times layers; like ones once."""

    sizes: Mapping[str, int]
    backend: str
    held: int
    timer: Timer
    known: dict[object, Mapping[str, float]] = field(default_factory=dict[object, "Mapping[str, float]"])

    def choice(self, layer: Layer, weights: Mapping[str, Array]) -> Choice:
        """The format of one layer."""
        path = layer.path
        if layer.refusal is not None:
            return Choice(path, layer.shape, 0, {}, None, layer.refusal)
        weight = np.asarray(weights[path])
        nonzeros = int(np.count_nonzero(weight))
        if nonzeros == 0:
            return Choice(path, weight.shape, 0, {}, None, "all of its weight is 0")
        if nonzeros > MOST * weight.size:
            reason = f"{nonzeros / weight.size:.0%} of its weight is not 0"
            return Choice(path, weight.shape, nonzeros, {}, None, reason)
        storages = candidates(weight)
        times = self._seconds(layer, weight, storages)
        best = min(storages, key=lambda storage: times[_name(storage)])
        gain = times["dense"] / times[_name(best)]
        if gain < GAIN:
            reason = f"{_name(best)} takes {1 / gain:.2f} times as long as dense code"
            return Choice(path, weight.shape, nonzeros, times, None, reason)
        return Choice(path, weight.shape, nonzeros, times, best, f"{gain:.2f} times as fast as dense code")

    def _seconds(self, layer: Layer, weight: Array, storages: Sequence[Blocks]) -> Mapping[str, float]:
        shape = tuple(size for size in bind_type(layer.node.operands[0].type, dict(self.sizes)).shape)
        fixed = tuple(size for size in shape if isinstance(size, int))
        shares = tuple((s.high, s.wide, round(50 * s.count * s.high * s.wide / weight.size)) for s in storages)
        key = layer.node.op, fixed, weight.shape, weight.dtype, shares
        if key not in self.known:
            times = self.timer(layer.node.op, fixed, weight, storages, self.backend, self.held)
            self.known[key] = dict(zip(["dense", *map(_name, storages)], times, strict=True))
        return self.known[key]


def candidates(weight: Array) -> list[Blocks]:
    """The formats that suit the zeros of a weight: CSR, and the largest blocks that hold few zeros."""
    matrix = weight.reshape(weight.shape[:2])
    out, width = matrix.shape
    nonzeros = int(np.count_nonzero(matrix))
    for high, wide in BLOCKS:
        if out % high or width % wide:
            continue
        count = filled(matrix, high, wide)
        if count * high * wide <= WASTE * nonzeros:
            return [Blocks(nonzeros), Blocks(count, high, wide)]
    return [Blocks(nonzeros)]


def _name(storage: Blocks | None) -> str:
    if storage is None:
        return "dense"
    return "csr" if storage.high == storage.wide == 1 else f"bsr {storage.high}x{storage.wide}"
