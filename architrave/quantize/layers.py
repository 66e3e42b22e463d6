"""The layers of a network whose weights are rounded: what each is given, and its products as those of matrices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array, known
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.activation import Activation
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv, window_defaults
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.piecewise import HardTanh, Relu6
from architrave.ir.ops.shape import Reshape
from architrave.passes.quantize.sites import Site, weight_sites


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


def groups_of(node: Node) -> int:
    """In how many groups the channels of a linear layer or a convolution lie."""
    return known(node.op.groups) if isinstance(node.op, Conv) else 1


def columns(node: Node, x: Array) -> Array:
    """What a linear layer or a convolution multiplies the rows of its weight by: [groups, M, I]."""
    if not isinstance(node.op, Conv):
        return x.reshape(1, -1, x.shape[-1])
    return _windows(x, node.op, node.operands[1].shape[2:], groups_of(node))


def hessians(node: Node, inputs: Iterable[Array]) -> Array:
    """The mean of x' x over the rows that a linear layer or a convolution multiplies: [groups, I, I], float64."""
    count, total = 0, np.zeros(())
    for x in inputs:
        rows = columns(node, x.astype(np.float64))
        total = total + np.matmul(rows.transpose(0, 2, 1), rows)
        count += rows.shape[1]
    return np.asarray(total) / max(count, 1)


def _windows(x: Array, op: Conv, kernel: tuple[object, ...], groups: int) -> Array:
    """The windows of x [N, C, *S] as rows: [groups, N * windows, C / groups * prod(kernel)]."""
    taps = [k for k in kernel if isinstance(k, int)]
    stride, padding, dilation = window_defaults(len(taps), op.stride, op.padding, op.dilation)
    padded = np.pad(x, [(0, 0), (0, 0), *((known(a), known(b)) for a, b in padding)])
    spans = tuple(d * (k - 1) + 1 for k, d in zip(taps, dilation, strict=True))
    axes = tuple(range(2, x.ndim))
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    step = tuple(slice(None, None, s) for s in (*stride, *dilation))
    views = views[:, :, *step]
    n, channels, rank = x.shape[0], x.shape[1], len(taps)
    views = views.reshape(n, groups, channels // groups, *views.shape[2:])
    moved = views.transpose(1, 0, *range(3, 3 + rank), 2, *range(3 + rank, 3 + 2 * rank))
    return moved.reshape(groups, n * int(np.prod(moved.shape[2 : 2 + rank])), -1)
