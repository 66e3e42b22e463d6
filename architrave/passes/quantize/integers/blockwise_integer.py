"""Products of matrices in blocks: integers for each block, shifted by how its scale lies to the others, and added up.

Dong, Chen, Wang and others, "Blockwise Compression of Transformer-based Models without Retraining" (BCT, 2023).
"""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.integer import MOST_BITS, MatmulInteger, Requantize
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.quantize import Dequantize, FakeQuantize, Quantize
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.types import DType
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.integers.held import in_steps
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select

MOST_SHIFT = 62
"""By how much `requantize` shifts at most: what is shifted so far is 0."""


class BlockwiseInteger(Pass):
    """Layers that `blockwise` has rounded multiply the integers of each block, and add them up shifted.

    Sums are of 32 bits, which is enough for all of them by their bounds; what blocks of small scales have below the
    last bit of a sum is rounded. `integer` goes on from there. Scales have to be powers of two by now.
    """

    keeps = Keeps.BOUNDED
    for_inference = True
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """The products of a block are integers, shifted by how much larger the largest scale of the output is."""
        return rewrite(graph, [blockwise_integer], journal, self.only)


def blockwise_integer(node: Node, walk: Walk) -> Change:
    """A layer of rounded blocks as products of integers, shifts and a sum."""
    if not isinstance(node.op, Linear):
        return None
    x, weight = (_blocks(v) for v in node.operands[:2])
    if x is None or weight is None or x.operands[0].rank != node.operands[0].rank + 1 or weight.operands[0].rank != 4:
        return None
    rank, inputs = node.operands[0].rank, known(node.operands[1].shape[1])
    bits = sum(each.op.bits - 1 for each in (x, weight) if isinstance(each.op, FakeQuantize))
    spare = MOST_BITS - 2 - bits - (inputs - 1).bit_length()
    if rank < 2 or spare < 0 or x.operands[0].shape[-1] != weight.operands[0].shape[-1]:
        return Declined("its sums are not sure to stay inside of 32 bits", node)
    rows, height, columns, width = map(known, weight.operands[0].shape)
    ones = (1,) * (rank - 2)
    q = apply(Transpose((rank - 1, *range(rank - 1), rank)), _integers(x))
    turned = apply(Transpose((2, 3, 0, 1)), _integers(weight))
    products = apply(MatmulInteger(), q, apply(Reshape((columns, *ones, width, rows * height)), turned))
    # [blocks of inputs, outputs]: products of powers of two are exact.
    scale = apply(Reshape((columns, 1)), x.operands[1]) * _spread(weight.operands[1], height)
    largest: Value = build.max(scale, axes=(0,))
    below: Value = build.clip(build.round(build.log2(largest / scale)), lo=0.0, hi=float(MOST_SHIFT))
    shift = apply(Reshape((columns, *ones, 1, rows * height)), apply(Cast(DType.I32), below))
    factor = apply(Full(2**spare, (), DType.I32))
    shifted = apply(Requantize(MOST_BITS), products, factor, shift)
    total = apply(Cast(DType.I32), build.sum(shifted, axes=(0,)))
    step = largest * 2.0**-spare
    if len(node.operands) > 2:
        total = total + in_steps(node.operands[2], step)
    return apply(Dequantize(), total, step)


def _blocks(value: Value) -> Node | None:
    """The quantizer of blocks that a value comes from."""
    inner = value.node.operands[0] if isinstance(value.op, Reshape) else value
    symmetric = isinstance(inner.op, FakeQuantize) and len(inner.node.operands) == 2
    return inner.node if symmetric and inner is not value else None


def _integers(rounding: Node) -> Value:
    assert isinstance(rounding.op, FakeQuantize)
    op = rounding.op
    return apply(Quantize(op.bits, op.signed, op.narrow), *rounding.operands)


def _spread(scale: Value, height: int) -> Value:
    """The scales of a weight's blocks [R, 1, C, 1] for each output: [C, R * height]."""
    rows, _, columns, _ = map(known, scale.shape)
    tall = apply(Reshape((rows, 1, columns)), scale) * apply(Full(1.0, (rows, height, columns), scale.dtype))
    return apply(Transpose((1, 0)), apply(Reshape((rows * height, columns)), tall))
