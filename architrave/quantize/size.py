"""What the weights of a quantized network take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.cost import BYTES
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.ops.microscaling import RoundMx
from architrave.ir.ops.minifloat import RoundMinifloat
from architrave.passes.quantize.rounding.sites import sites

FLOAT_BITS = 32


@dataclass(frozen=True)
class Size:
    """The numbers of the float network, and the bits that they take when each is as wide as its format.

    `stored` are the bytes of the arrays as a checkpoint holds them: none is narrower than 8 bits, unless it is packed.
    """

    numbers: int
    bits: int
    stored: int

    @property
    def bits_per_weight(self) -> float:
        """With scales and zero points counted in."""
        return self.bits / max(self.numbers, 1)

    @property
    def before(self) -> int:
        """The bytes of the float network, in float32."""
        return self.numbers * FLOAT_BITS // 8

    @property
    def after(self) -> int:
        """The bytes when each number is as wide as its format."""
        return -(-self.bits // 8)


def size(graph: Graph, weights: Mapping[str, Any]) -> Size:
    """The size of a network with quantizers (the pass `quantize`); `weights` are those that are stored for it."""
    found = sites(graph)
    settings = {path for site in found for path in (site.scale, site.zero)}
    counts = {path_of(w): math.prod(n for n in w.shape if isinstance(n, int)) for w in graph.weights}
    numbers = sum(count for path, count in counts.items() if path not in settings)
    widths = _widths(graph) | {site.path: site.op.bits for site in found if site.is_weight and site.path is not None}
    bits = math.ceil(sum(count * widths[path] for path, count in counts.items()))
    return Size(numbers, bits, sum(np.asarray(w).nbytes for w in weights.values()))


def _widths(graph: Graph) -> dict[str, float]:
    """The bits of an element of each weight: of its dtype, or of the floats of few bits that it is rounded to."""
    stored = {path_of(w): 8 * BYTES.get(w.dtype, FLOAT_BITS // 8) for w in graph.weights}
    rounded = {
        path_of(node.operands[0]): node.op.bits
        for node in graph.nodes
        if isinstance(node.op, RoundMinifloat | RoundMx) and isinstance(node.operands[0].op, Param)
    }
    return stored | rounded
