"""Layers as two, by the singular values of their weight as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from architrave.ir.graph import apply
from architrave.ir.ops.shape import Reshape
from architrave.passes.base import option
from architrave.passes.factorize.chain import Factor, Factorization, Layer, pointwise
from architrave.passes.factorize.matrices import arranged, halves
from architrave.passes.factorize.ranks import Rank
from architrave.passes.reparam.affine import Window


class Svd(Factorization):
    """Each layer becomes two with `rank` channels in between: the nearest there are, by singular values.

    A kernel is a matrix in three ways. `outputs`: of [O, C * K], which gives the kernel and then one tap; Li and others
    (2018). `inputs`: of [C, O * K], one tap and then the kernel. `spatial`: of [C * K1, O * K2], a column and then a
    row; Jaderberg and others, "Speeding up Convolutional Neural Networks with Low Rank Expansions" (2014). Linear
    layers are matrices; of a convolution in groups each group has a matrix, and a rank, of its own.
    """

    form: Literal["outputs", "inputs", "spatial"] = option("outputs", "how a kernel is a matrix")

    def factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        """Two maps, or why there are none. A rank beyond that of the matrix is that of the matrix."""
        if len(rank) != 1:
            return "its rank is one number"
        if self.form == "spatial":
            return _spatial(layer, rank[0]) if len(layer.kernel) > 1 else "its kernel has no two axes"
        return _by_inputs(layer, rank[0]) if self.form == "inputs" and layer.kernel else _by_outputs(layer, rank[0])


def _by_outputs(layer: Layer, rank: int) -> list[Factor]:
    groups, out, inputs, kernel = layer.window.groups, layer.outputs, layer.inputs, layer.kernel
    rank = min(rank, out // groups, inputs * layer.taps)
    left, right = halves(apply(Reshape((groups, out // groups, inputs * layer.taps)), layer.weight), rank)
    ones = (1,) * len(kernel)
    return [
        Factor("down", apply(Reshape((groups * rank, inputs, *kernel)), right), layer.window),
        Factor("up", apply(Reshape((out, rank, *ones)), left), pointwise(len(kernel), groups)),
    ]


def _by_inputs(layer: Layer, rank: int) -> list[Factor]:
    groups, out, inputs, kernel = layer.window.groups, layer.outputs // layer.window.groups, layer.inputs, layer.kernel
    rank = min(rank, inputs, out * layer.taps)
    parted = apply(Reshape((groups, out, inputs, layer.taps)), layer.weight)
    left, right = halves(arranged(parted, (0, 2, 1, 3), (groups, inputs, out * layer.taps)), rank)
    ones = (1,) * len(kernel)
    middle = apply(Reshape((groups, rank, out, layer.taps)), right)
    return [
        Factor("down", arranged(left, (0, 2, 1), (groups * rank, inputs, *ones)), pointwise(len(kernel), groups)),
        Factor("up", arranged(middle, (0, 2, 1, 3), (groups * out, rank, *kernel)), layer.window),
    ]


def _spatial(layer: Layer, rank: int) -> list[Factor]:
    groups, out, inputs, kernel = layer.window.groups, layer.outputs // layer.window.groups, layer.inputs, layer.kernel
    column, rows = kernel[0], layer.taps // kernel[0]
    rank = min(rank, inputs * column, out * rows)
    parted = apply(Reshape((groups, out, inputs, column, rows)), layer.weight)
    left, right = halves(arranged(parted, (0, 2, 3, 1, 4), (groups, inputs * column, out * rows)), rank)
    left = apply(Reshape((groups, inputs, column, rank)), left)
    right = apply(Reshape((groups, rank, out, rows)), right)
    ones = (1,) * (len(kernel) - 1)
    return [
        Factor("column", arranged(left, (0, 3, 1, 2), (groups * rank, inputs, column, *ones)), _along(layer.window, 0)),
        Factor("row", arranged(right, (0, 2, 1, 3), (groups * out, rank, 1, *kernel[1:])), _along(layer.window, 1)),
    ]


def _along(window: Window, half: int) -> Window:
    """A window that slides along the first axis alone, or along the others."""
    own = [(axis > 0) == bool(half) for axis in range(window.rank)]
    return Window.of(
        window.rank,
        [step if mine else 1 for step, mine in zip(window.stride, own, strict=True)],
        [pair if mine else (0, 0) for pair, mine in zip(window.padding, own, strict=True)],
        [apart if mine else 1 for apart, mine in zip(window.dilation, own, strict=True)],
        window.groups,
    )
