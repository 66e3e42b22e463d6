"""The network behind a rounded one."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.rewrite import kept, rebuild


def unrounded(graph: Graph) -> tuple[Graph, dict[Value, Value]]:
    """The network with its quantizers switched off, and for each of its values the one that it is there.

    What a quantizer gives is what it is given. The weights stay the same, those of quantizers too: nothing reads these.
    """
    there: dict[Value, Value] = {}

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value]:
        new = (operands[0],) if isinstance(node.op, FakeQuantize) else kept(node, operands)
        there.update(zip(node.outputs, new, strict=True))
        return new

    return rebuild(graph, rewrite), there
