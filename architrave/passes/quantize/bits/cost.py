"""What a network of bits costs: products of bits are XNORs of words, and weights that are used as bits are stored so.

As papers on binary networks count: a processor makes 64 products of bits in the time of one of floats, and each result
is multiplied with a scale (Rastegari and others, "XNOR-Net", 2016, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from architrave.ir import cost
from architrave.ir.dims import product, substitute
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.binary import Binarize
from architrave.ir.source import error
from architrave.passes.static import Static

WORD = 64
"""How many products of bits cost as much as one of floats."""
FLOAT_BITS = 32
_VIEWS = ("reshape", "transpose", "expand", "slice", "take", "flip", "unsqueeze", "squeeze", "flatten")
_AFFINE = ("add", "subtract", "multiply", "divide")


@dataclass(frozen=True)
class BinaryCost:
    """The work of one run, and the memory of the weights."""

    multiply_adds: int
    """All of them, as if every number were a float."""
    binary: int
    """Those of bits with bits."""
    results: int
    """The numbers that products of bits give, each of which is scaled."""
    stored: int
    """The numbers that a trained network keeps."""
    stored_bits: int

    @property
    def operations(self) -> float:
        """Multiply-adds of floats that take as long."""
        return self.multiply_adds - self.binary + self.binary / WORD + self.results

    @property
    def bits_per_weight(self) -> float:
        """The bits of one number of those kept."""
        return self.stored_bits / self.stored


def binary_cost(graph: Graph, sizes: cost.Sizes | None = None) -> BinaryCost:
    """The cost of a network as it is in inference. Raises E330 where a size is not bound.

    Bits are what `binarize` gives, also reshaped, sliced, or scaled and shifted by one number.
    """
    total = binary = results = 0
    for node, times in cost.runs(graph):
        work = node.op.multiply_adds([v.type for v in node.operands], node.types)
        count = _known(substitute(times * work, sizes or {}))
        total += count
        if count and len(node.operands) >= 2 and all(is_one_bit(v) for v in node.operands[:2]):
            binary += count
            results += _known(substitute(times * product(node.types[0].shape), sizes or {}))
    stored, bits = _memory(graph)
    return BinaryCost(total, binary, results, stored, bits)


def is_one_bit(value: Value) -> bool:
    """Whether there are two numbers that each element is one of."""
    while not isinstance(value.op, Binarize):
        affine = value.op.name in _AFFINE
        if not affine and value.op.name not in _VIEWS:
            return False
        varying = [v for v in value.node.operands if not affine or v.type.size != 1]
        if not varying or (affine and len(varying) > 1):
            return False
        value = varying[0]
    return True


def _memory(graph: Graph) -> tuple[int, int]:
    """How many numbers that depend on weights alone the rest of a network reads, and in how many bits."""
    static = Static(graph)
    read = {v for node in graph.nodes if node.outputs[0] not in static for v in node.operands}
    read |= set(graph.outputs)
    stored = bits = 0
    for value in read:
        if value not in static or not static.has_weights(value):
            continue
        size = _known(value.type.size)
        stored += size
        bits += size * (1 if is_one_bit(value) else FLOAT_BITS)
    return stored, bits


def _known(size: object) -> int:
    if not isinstance(size, int):
        raise error("E330", f"how much work {size} is cannot be known", hint="give its symbols sizes")
    return size
