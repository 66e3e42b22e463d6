"""Convolutions as sums of products of vectors, one for each axis of their kernels."""

from __future__ import annotations

import math

from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.matrix import Inverse
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Dense
from architrave.passes.reparam.kernels import LETTERS
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select

RIDGE = 1e-9
"""What is added to the diagonal of the normal equations, over their scale, lest they be singular."""


class CpConv(Pass):
    """Convolutions become chains of thin ones: one tap, one axis after another, one tap (canonical decomposition).

    The kernel is `K[o, i, h, w] = sum over r of a[o, r] b[i, r] c[h, r] d[w, r]`, as in "A priori compression of
    convolutional neural networks for wave simulators" (2023). The vectors are fitted by alternating least squares, as
    expressions over the kernel, so that `hoist` computes them. `reparam{grow=true}` goes back.
    """

    keeps = Keeps.LOSSY
    for_inference = True
    only: Select = option(Select(), "which convolutions")
    rank: int = option(8, "how many products are summed")
    sweeps: int = option(20, "how often each factor is fitted to the others")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Convolutions in groups, and those that would not get smaller, stay as they are."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)

        def cp_conv(node: Node, walk: Walk) -> Change:
            dense = view(node.outputs[0], walk.static) if isinstance(node.op, Conv) else None
            return None if not isinstance(dense, Dense) or dense.is_pointwise else self._chain(dense, node)

        return rewrite(graph, [cp_conv], journal, self.only)

    def _chain(self, dense: Dense, node: Node) -> Value | Declined:
        sizes = [size for size in dense.weight.shape if isinstance(size, int)]
        window = dense.window
        if window.groups != 1:
            return Declined("the convolution has groups", node)
        if self.rank * sum(sizes) >= math.prod(sizes):
            return Declined(f"{self.rank} products take as many numbers as the kernel or more", node)
        outputs, inputs, *axes = self._fitted(dense.weight, sizes)
        ones = (1,) * window.rank
        x = apply(Conv(), dense.x, _kernel(inputs, ones))
        for i, factor in enumerate(axes):
            shape = tuple(sizes[2 + i] if i == j else 1 for j in range(window.rank))
            kernel = apply(Reshape((self.rank, 1, *shape)), apply(Transpose((1, 0)), factor))
            stride, padding, dilation = (
                tuple(given if i == j else plain for j, given in enumerate(all_axes))
                for all_axes, plain in ((window.stride, 1), (window.padding, (0, 0)), (window.dilation, 1))
            )
            x = apply(Conv(stride, padding, dilation, self.rank), x, kernel)  # type: ignore[arg-type]
        last = [x, apply(Reshape((sizes[0], self.rank, *ones)), outputs)]
        return apply(Conv(), *last, *([] if dense.bias is None else [dense.bias]))

    def _fitted(self, weight: Value, sizes: list[int]) -> list[Value]:
        """The factors, [size, rank] for each axis of the kernel."""
        factors = [_start(size, self.rank, number, weight) for number, size in enumerate(sizes)]
        letters = LETTERS[: len(sizes)]
        for turn in range(self.sweeps * len(sizes)):
            axis = turn % len(sizes)
            others = [i for i in range(len(sizes)) if i != axis]
            terms = ",".join([letters, *(f"{letters[i]}r" for i in others)])
            right = apply(Einsum(f"{terms}->{letters[axis]}r"), weight, *(factors[i] for i in others))
            gram: Value | None = None
            for i in others:
                product = apply(Einsum("ar,aq->rq"), factors[i], factors[i])
                gram = product if gram is None else gram * product
            assert gram is not None
            factors[axis] = apply(Einsum("ar,rq->aq"), right, apply(Inverse(), gram + _ridge(self.rank, gram)))
        return factors


def _kernel(inputs: Value, ones: tuple[int, ...]) -> Value:
    size, rank = inputs.shape
    return apply(Reshape((rank, size, *ones)), apply(Transpose((1, 0)), inputs))


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
