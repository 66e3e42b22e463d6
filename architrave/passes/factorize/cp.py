"""Convolutions as sums of products of vectors, one for each axis of their kernels."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Value, apply, make
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.matrix import Inverse
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.passes.base import option
from architrave.passes.factorize.chain import Factor, Factorization, Layer, pointwise
from architrave.passes.factorize.matrices import arranged, contracted
from architrave.passes.factorize.ranks import Rank
from architrave.passes.reparam.affine import Window
from architrave.passes.reparam.kernels import LETTERS

RIDGE = 1e-9
"""What is added to the diagonal of the normal equations, over their scale, lest they be singular."""


class Cp(Factorization):
    """Convolutions become chains of thin ones: one tap, one axis after another, one tap (canonical decomposition).

    The kernel is `K[o, i, h, w] = sum over r of a[o, r] b[i, r] c[h, r] d[w, r]`, as in "A priori compression of
    convolutional neural networks for wave simulators" (2023). The vectors are fitted by alternating least squares, as
    expressions over the kernel. What has one tap, and what has groups, stays as it is.
    """

    sweeps: int = option(20, "how often each factor is fitted to the others")

    def factors(self, layer: Layer, rank: Rank) -> Sequence[Factor] | str:
        """A map for each axis of the kernel, or why there are none."""
        if len(rank) != 1:
            return "its rank is one number"
        if layer.taps == 1:
            return "it has one tap, whose channels are a matrix: `svd` takes it"
        if layer.window.groups != 1:
            return "the convolution has groups"
        count, window = rank[0], layer.window
        outputs, inputs, *axes = self._fitted(layer.weight, layer.sizes, count)
        ones = (1,) * window.rank
        chain = [Factor("down", arranged(inputs, (1, 0), (count, layer.inputs, *ones)), pointwise(window.rank))]
        for i, factor in enumerate(axes):
            shape = tuple(layer.kernel[i] if i == j else 1 for j in range(window.rank))
            kernel = apply(Reshape((count, 1, *shape)), apply(Transpose((1, 0)), factor))
            chain.append(Factor(f"axis{i}", kernel, _along(window, i, count)))
        return [*chain, Factor("up", apply(Reshape((layer.outputs, count, *ones)), outputs), pointwise(window.rank))]

    def _fitted(self, weight: Value, sizes: Sequence[int], rank: int) -> list[Value]:
        """The factors, [size, rank] for each axis of the kernel."""
        factors = [_start(size, rank, number, weight) for number, size in enumerate(sizes)]
        for turn in range(self.sweeps * len(sizes)):
            axis = turn % len(sizes)
            gram: Value | None = None
            for factor in (f for i, f in enumerate(factors) if i != axis):
                product = apply(Einsum("ar,aq->rq"), factor, factor)
                gram = product if gram is None else gram * product
            assert gram is not None
            inverse = apply(Inverse(), gram + _ridge(rank, gram))
            factors[axis] = apply(Einsum("ar,rq->aq"), _contracted(weight, factors, axis), inverse)
        return factors


def _contracted(weight: Value, factors: Sequence[Value], axis: int) -> Value:
    """The kernel times the factors of all axes but one, [size, rank]: the longest axes first, which leaves least."""
    letters = LETTERS[: weight.rank]
    others = sorted((i for i in range(weight.rank) if i != axis), key=lambda i: factors[i].type.size, reverse=True)
    largest, *others = others
    left = contracted(weight, largest, factors[largest])
    joined = letters.replace(letters[largest], "") + "r"
    for i in others:
        rest = joined.replace(letters[i], "").rstrip("r") + "r"
        left = apply(Einsum(f"{joined},{letters[i]}r->{rest}"), left, factors[i])
        joined = rest
    return left


def _along(window: Window, axis: int, channels: int) -> Window:
    """A window that slides along one axis, each channel by itself."""
    own = range(window.rank)
    return Window.of(
        window.rank,
        [window.stride[i] if i == axis else 1 for i in own],
        [window.padding[i] if i == axis else (0, 0) for i in own],
        [window.dilation[i] if i == axis else 1 for i in own],
        channels,
    )


def _start(size: int, rank: int, number: int, like: Value) -> Value:
    """Where the fit begins: the same numbers every time."""
    import numpy as np

    from architrave.ir.draws import normal
    from architrave.ir.storage import constant_of

    drawn = normal(0, f"cp factor {number}", (size, rank), np.dtype(np.float64), 1.0)
    return make(constant_of(drawn, like.dtype, drawn.shape), ()).outputs[0]


def _ridge(rank: int, gram: Value) -> Value:
    import numpy as np

    from architrave.ir.storage import constant_of

    eye = make(constant_of(np.eye(rank) * RIDGE, gram.dtype, (rank, rank)), ()).outputs[0]
    return eye * apply(Einsum("rr->"), gram)
