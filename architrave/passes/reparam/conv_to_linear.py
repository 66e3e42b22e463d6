"""Convolutions of images of a known size as fully connected layers."""

from __future__ import annotations

from architrave.ir.dims import product
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.shape import RepeatInterleave, Reshape, Transpose
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Dense
from architrave.passes.reparam.kernels import identity
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select


class ConvToLinear(Pass):
    """Convolutions of small images become fully connected layers, which merge with those beside them.

    Ding and others, "RepMLP: Re-parameterizing Convolutions into Fully-connected Layers" (2021). The matrix is what
    the convolution makes of the identity; groups stay groups. It takes more operations, unless such a layer is there
    anyway.
    """

    for_inference = True
    only: Select = option(Select(), "which convolutions")
    largest: int = option(2**22, "how many numbers a matrix may have")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """A layer is written as a convolution of the image as one column of channels, [N, C * H * W, 1, 1]."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)

        def conv_to_linear(node: Node, walk: Walk) -> Change:
            dense = view(node.outputs[0], walk.static) if isinstance(node.op, Conv) else None
            return None if not isinstance(dense, Dense) or dense.is_pointwise else _unrolled(dense, node, self.largest)

        graph = rewrite(graph, [conv_to_linear], journal, self.only)
        return rewrite(graph, [sum_of_reshapes], journal)


def sum_of_reshapes(node: Node, walk: Walk) -> Change:
    """The sum of two tensors that are reshaped alike is the reshape of their sum."""
    if not isinstance(node.op, Add) or any(not isinstance(v.op, Reshape) or walk.uses(v) > 1 for v in node.operands):
        return None
    a, b = (v.node.operands[0] for v in node.operands)
    return apply(Reshape(node.outputs[0].shape), a + b) if a.type == b.type else None


def _unrolled(dense: Dense, node: Node, largest: int) -> Value | Declined:
    count, channels, *image = dense.x.shape
    share = dense.weight.shape[1]
    cells, results = product((share, *image)), product(dense.out[1:])
    if not isinstance(cells, int) or not isinstance(results, int):
        return Declined("the size of the image is known in the run alone", node)
    if cells * results > largest:
        return Declined(f"its matrix would have {cells * results} numbers", node)
    window, ones = dense.window, (1,) * len(image)
    # Each group sees its own channels: the images of one cell each need only as many channels as a group has.
    alone = apply(Reshape((cells, share, *image)), identity(cells, dense.weight))
    columns = apply(Conv(window.stride, window.padding, window.dilation), alone, dense.weight)
    matrix = apply(Transpose((1, 0)), apply(Reshape((cells, results)), columns))
    operands = [apply(Reshape((count, product((channels, *image)), *ones)), dense.x)]
    operands.append(apply(Reshape((results, cells, *ones)), matrix))
    if dense.bias is not None:
        positions = product(dense.out[2:])
        operands.append(apply(RepeatInterleave(positions, 0), dense.bias))
    return apply(Reshape(dense.out), apply(Conv(groups=window.groups), *operands))
