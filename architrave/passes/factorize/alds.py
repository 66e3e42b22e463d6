"""Layers as two, of which the first sees slices of the input channels by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir.graph import apply
from architrave.ir.ops.shape import Reshape
from architrave.passes.factorize.chain import Factor, Factorization, Layer, pointwise
from architrave.passes.factorize.matrices import arranged, halves
from architrave.passes.factorize.ranks import Rank


class Alds(Factorization):
    """Each layer becomes one in `k` groups to `k * j` channels, and one tap: ranks read `KxJ`, such as 4x16.

    The matrix [O, C * K] of a kernel is cut into `k` slices of input channels, and each slice to its best approximation
    of rank `j`; `architrave.factorize` chooses both for every layer. Liebenwein and others, "Compressing Neural
    Networks: Towards Determining the Optimal Layer-wise Decomposition" (2021).
    """

    def factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        """Two maps, or why there are none. A single number is the rank of one slice that has all channels."""
        if len(rank) > 2:
            return "its rank is a number of slices and the rank of each"
        slices, rank_of_each = rank if len(rank) == 2 else (1, rank[0])
        if layer.window.groups != 1:
            return "the convolution has groups already"
        if layer.inputs % slices:
            return f"its {layer.inputs} input channels cannot be cut into {slices} equal slices"
        share, out, kernel = layer.inputs // slices, layer.outputs, layer.kernel
        wide = share * layer.taps
        each = min(rank_of_each, out, wide)
        parted = arranged(apply(Reshape((out, slices, wide)), layer.weight), (1, 0, 2), (slices, out, wide))
        left, right = halves(parted, each)
        ones = (1,) * len(kernel)
        return [
            Factor(
                "down", apply(Reshape((slices * each, share, *kernel)), right), replace(layer.window, groups=slices)
            ),
            Factor("up", arranged(left, (1, 0, 2), (out, slices * each, *ones)), pointwise(len(kernel))),
        ]
