"""Networks that become deeper and stay the same function: layers that pass on what they are given."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.activation import Relu
from architrave.ir.ops.contraction import Linear, Matmul
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.elementwise import Abs
from architrave.ir.ops.join import Pad
from architrave.ir.ops.leaves import Arange, Full, Initial
from architrave.ir.ops.piecewise import HardTanh, Relu6
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import Block, marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.passes.base import Pass, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.static import Static
from architrave.passes.structure.added import Added

IDEMPOTENT = (Relu, Relu6, HardTanh, Abs)
"""Functions that change nothing the second time."""


class Deepen(Pass):
    """Behind activation functions come layers that start as the identity, each with the same function behind it.

    A convolution where a convolution stood before, or else a linear layer. Chen, Goodfellow and Shlens, "Net2Net:
    Accelerating Learning via Knowledge Transfer" (2016), section 2.2: right for functions such as `relu`, which change
    nothing the second time.
    """

    only: Select = option(Select(), "which activation functions; with `bare` which operators")
    kernel: int = option(3, "the odd size of new kernels")
    bare: bool = option(False, "whether the layers come behind any operator, and no function behind them")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Raises E803 for a kernel of an even size, which has no middle."""
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise error("E803", f"`deepen{{kernel}}` takes an odd size, not {self.kernel}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        added, static = Added(graph), Static(graph)

        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not node.operands or node.outputs[0] in static or not self.only.matches(node):
                return None
            fit = len(node.outputs) == 1 and (self.bare or isinstance(node.op, IDEMPOTENT))
            axis = channels(node, static) if fit else None
            if axis is None:
                return None
            (y,) = kept(node, operands)
            if not isinstance(y.shape[axis], int) or not y.dtype.is_float:
                journal.refused("deepen", Declined("its channels are no floats, or of an unknown number", node))
                return None
            journal.changed("deepen", node)
            with marked(place=node.place, span=node.span, facts=node.facts):
                passed_on = self._layer(added, node, y, axis)
                return (passed_on if self.bare else apply(node.op, passed_on),)

        return added.rewritten(rebuild(graph, rewrite))

    def _layer(self, added: Added, node: Node, y: Value, axis: int) -> Value:
        """A convolution or a linear layer that gives what it is given."""
        place = added.place("deeper", node.place, Block("block", "Deeper", inputs=("x",)))
        kernel = (self.kernel,) * (y.rank - 2) if axis == 1 else ()
        with marked(place=place):
            shape = (y.shape[axis], y.shape[axis], *kernel)
            weight = added.param(f"{place.path}.weight", passing_on(TensorType(y.dtype, shape)), Initial("identity"))
            zeros = apply(Full(0.0, shape[:1], y.dtype))
            bias = added.param(f"{place.path}.bias", zeros, Initial("zeros"))
            if not kernel:
                linear: Value = build.linear(y, weight, bias)
                return linear
            conv: Value = build.conv(y, weight, bias, padding=((self.kernel // 2,) * 2,) * len(kernel))
            return conv


def passing_on(type: TensorType) -> Value:
    """The matrix or kernel [C, C, *kernel] that passes each channel on, for kernels of odd sizes."""
    out, given, *kernel = type.shape
    rows, columns = (apply(Reshape(shape), apply(Arange(out))) for shape in ((out, 1), (1, given)))
    matrix: Value = build.cast(build.equal(rows, columns), type.dtype)
    if not kernel:
        return matrix
    widths = ((0, 0), (0, 0), *((known(size) // 2, known(size) // 2) for size in kernel))
    return apply(Pad(widths), apply(Reshape((out, given, *(1 for _ in kernel))), matrix))


def channels(node: Node, static: Static) -> int | None:
    """Along which axis the channels lie that the last layer before a node made; None where there is no layer before."""
    while node.operands:
        if isinstance(node.op, Conv):
            return 1
        if isinstance(node.op, Linear | Matmul):
            return node.outputs[0].rank - 1
        passed = [v for v in node.operands if v not in static and v.rank == node.outputs[0].rank]
        if not passed:
            return None
        node = passed[0].node
    return None
