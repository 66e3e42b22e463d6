"""Where a network is rounded: the quantizers in a graph and the weights that they are set by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.ops.quantize import FakeQuantize
from architrave.passes.static import Static


@dataclass(frozen=True)
class Site:
    """One quantizer: a node `fake_quantize` whose scale is a weight."""

    node: Node
    is_weight: bool
    """Whether it rounds what depends on weights alone."""

    @property
    def op(self) -> FakeQuantize:
        """Its bits and its bounds."""
        assert isinstance(self.node.op, FakeQuantize)
        return self.node.op

    @property
    def value(self) -> Value:
        """What is rounded."""
        return self.node.operands[0]

    @property
    def rounded(self) -> Value:
        """What that becomes."""
        return self.node.outputs[0]

    @property
    def scale(self) -> str:
        """The path of the scale."""
        return path_of(self.node.operands[1])

    @property
    def zero(self) -> str | None:
        """The path of the zero point, of a quantizer that has one."""
        return path_of(self.node.operands[2]) if len(self.node.operands) > 2 else None

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the scale, which broadcasts against what is rounded."""
        return tuple(size for size in self.node.operands[1].shape if isinstance(size, int))

    @cached_property
    def path(self) -> str | None:
        """The path of the weight that is rounded, or of which a reshaped one is; None for all else."""
        value = self.value
        while len(value.node.operands) == 1 and value.op.name in ("reshape", "transpose"):
            value = value.node.operands[0]
        return value.op.path if isinstance(value.op, Param) else None


def sites(graph: Graph) -> list[Site]:
    """Every quantizer of a graph, in the order in which they run; those inside loops and branches are left out."""
    static = Static(graph)
    return [Site(node, node.operands[0] in static) for node in graph.nodes if _is_set_by_weights(node)]


def weight_sites(graph: Graph) -> list[Site]:
    """The quantizers of weights."""
    return [site for site in sites(graph) if site.is_weight]


def activation_sites(graph: Graph) -> list[Site]:
    """The quantizers of what depends on the inputs."""
    return [site for site in sites(graph) if not site.is_weight]


def _is_set_by_weights(node: Node) -> bool:
    return isinstance(node.op, FakeQuantize) and all(isinstance(v.op, Param | State) for v in node.operands[1:])
