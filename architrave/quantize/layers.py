"""The layers of a network whose weights are rounded: what each is given, and its products as those of matrices."""

from __future__ import annotations

from dataclasses import dataclass

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.activation import Activation
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.piecewise import HardTanh, Relu6
from architrave.ir.ops.shape import Reshape
from architrave.passes.quantize.rounding.sites import Site, weight_sites
from architrave.record.columns import columns, groups_of


@dataclass(frozen=True)
class Layer:
    """A linear layer or a convolution with a weight that a quantizer of its own rounds."""

    site: Site
    node: Node
    path: str
    """The path of the weight."""
    end: Value
    """Its result, behind the activation function if that alone reads it."""

    @property
    def x(self) -> Value:
        """What it is given, rounded where that is."""
        return self.node.operands[0]

    @property
    def bias(self) -> str | None:
        """The path of its bias."""
        return path_of(self.node.operands[2]) if len(self.node.operands) > 2 else None

    @property
    def groups(self) -> int:
        """In how many groups its channels lie; each sees its own inputs."""
        return groups_of(self.node)

    def columns(self, x: Array) -> Array:
        """What the rows of the weight are multiplied by: [groups, M, I], with M examples, or places in them."""
        return columns(self.node, x)


def layers(graph: Graph) -> list[Layer]:
    """The layers with a rounded weight that nothing else reads, in the order in which they run."""
    found = [layer for site in weight_sites(graph) if (layer := _layer(graph, site)) is not None]
    return sorted(found, key=lambda layer: layer.node.serial)


def _layer(graph: Graph, site: Site) -> Layer | None:
    value, users = site.rounded, graph.users[site.node]
    while len(users) == 1 and isinstance(users[0].op, Reshape):
        value, users = users[0].outputs[0], graph.users[users[0]]
    if site.path is None or len(users) != 1 or not isinstance(users[0].op, Linear | Conv):
        return None
    node = users[0]
    if node.operands[1] is not value or node.operands[0] is value:
        return None
    behind = graph.users[node]
    fused = len(behind) == 1 and isinstance(behind[0].op, Activation | Relu6 | HardTanh)
    end = behind[0].outputs[0] if fused and len(behind[0].operands) == 1 else node.outputs[0]
    return Layer(site, node, site.path, end)
