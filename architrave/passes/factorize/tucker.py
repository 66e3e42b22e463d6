"""Convolutions as a small one between two of one tap."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Value, apply
from architrave.ir.ops.shape import Reshape
from architrave.passes.base import option
from architrave.passes.factorize.chain import Factor, Factorization, Layer, pointwise
from architrave.passes.factorize.matrices import arranged, contracted, leading
from architrave.passes.factorize.ranks import Rank


class Tucker(Factorization):
    """Convolutions become one tap, a small kernel, one tap: ranks read `INxOUT`, the channels of the small one.

    Tucker decomposition along both axes of channels, by singular vectors (HOSVD) that are then fitted to one another
    in turn (HOOI). Kim and others, "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile
    Applications" (2015).
    """

    sweeps: int = option(2, "how often the channels of each side are fitted to the other's")

    def factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        """Three maps, or why there are none. A single number is the rank of both sides."""
        if len(rank) > 2:
            return "its rank is the input and the output channels of the small kernel"
        if layer.taps == 1:
            return "it has one tap, whose channels are a matrix: `svd` takes it"
        if layer.window.groups != 1:
            return "the convolution has groups"
        few, many = min(rank[0], layer.inputs), min(rank[-1], layer.outputs)
        many = min(many, few * layer.taps)
        few = min(few, many * layer.taps)
        kernel = apply(Reshape((layer.outputs, layer.inputs, layer.taps)), layer.weight)
        left, right = self._channels(kernel, few, many)
        core = contracted(contracted(kernel, 1, right), 0, left)
        ones = (1,) * len(layer.kernel)
        return [
            Factor("down", arranged(right, (1, 0), (few, layer.inputs, *ones)), pointwise(len(ones))),
            Factor("core", arranged(core, (2, 1, 0), (many, few, *layer.kernel)), layer.window),
            Factor("up", apply(Reshape((layer.outputs, many, *ones)), left), pointwise(len(ones))),
        ]

    def _channels(self, kernel: Value, few: int, many: int) -> tuple[Value, Value]:
        """Orthonormal output channels [O, many] and input channels [I, few] of a kernel [O, I, T]."""
        out, inputs, taps = (size for size in kernel.shape if isinstance(size, int))
        left = leading(apply(Reshape((out, inputs * taps)), kernel), many)
        right = leading(arranged(kernel, (1, 0, 2), (inputs, out * taps)), few)
        for _ in range(self.sweeps):
            left = leading(apply(Reshape((out, taps * few)), contracted(kernel, 1, right)), many)
            right = leading(apply(Reshape((inputs, taps * many)), contracted(kernel, 0, left)), few)
        return left, right
