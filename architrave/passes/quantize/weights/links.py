"""Channels that can be scaled between weights: divided in those that make them, multiplied in those that read them.

That is the same function in real arithmetic where nothing but operators lies between that hand a positive factor on:
ReLU, pooling, sums, and what moves elements. Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization
Through Weight Equalization and Bias Correction" (2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from architrave.ir.arrays import known
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.activation import Activation, LeakyRelu, Relu
from architrave.ir.ops.adaptive import AdaptiveAvgPool
from architrave.ir.ops.arithmetic import Divide, Multiply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.elementwise import FloatUnary
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.ops.norm import BatchNorm, LayerNorm, RmsNorm
from architrave.ir.ops.pooling import AvgPool, MaxPool
from architrave.passes.journal import Declined
from architrave.passes.reparam.carried import MOVES, carried

NORMS = {BatchNorm: (3, 4), LayerNorm: (1, 2), RmsNorm: (1,)}
"""Where norms have their scale and their shift among the operands."""
POOLS = (MaxPool, AvgPool, AdaptiveAvgPool)


@dataclass(frozen=True)
class Part:
    """A weight and how the channels lie in it: seen in the shape `view`, factors in the shape `factors` broadcast."""

    weight: Value
    view: tuple[int, ...]
    factors: tuple[int, ...]
    is_shift: bool = False
    """Whether it is added: it says nothing of the range of a channel."""

    @property
    def others(self) -> tuple[int, ...]:
        """The axes of the view along which a factor is the same."""
        return tuple(i for i, size in enumerate(self.factors) if size == 1)


@dataclass(frozen=True)
class Link:
    """Channels between weights. `before` makes them, biases included; `after` reads `values`, along their axes."""

    channels: int
    before: tuple[Part, ...]
    after: tuple[Part, ...]
    values: tuple[tuple[Value, int], ...]
    readers: tuple[Node, ...]
    """The linear layers and convolutions that read them."""
    writers: tuple[Node, ...]
    """Those that make them, and norms."""


def links(graph: Graph, functions: bool = False) -> Iterator[Link | Declined]:
    """All channels between weights, each once, in the order of what reads them first; or why there are none there.

    With `functions` channels are not to be scaled, but to change places: any function of single numbers hands that on.
    """
    seen: set[Value] = set()
    refused: dict[Value, str] = {}
    uses = Counter(w for node in graph.nodes for w in node.operands if isinstance(w.op, Param))
    for node in graph.nodes:
        if not isinstance(node.op, Linear | Conv) or node.operands[0] in seen:
            continue
        region = _Region(graph, uses, functions, refused)
        found = region.grown(node)
        seen |= set(region.axes)
        if isinstance(found, Declined):
            refused |= dict.fromkeys(region.axes, found.reason)
        yield found


@dataclass
class _Region:
    """The values that are scaled together, as far as they are found."""

    graph: Graph
    uses: Counter[Value]
    functions: bool
    refused: dict[Value, str]
    """Values of regions that cannot be scaled: what is joined to them cannot either."""
    axes: dict[Value, int] = field(default_factory=dict[Value, int])
    before: dict[Part, None] = field(default_factory=dict[Part, None])
    after: dict[Part, None] = field(default_factory=dict[Part, None])
    read: dict[tuple[Value, int], None] = field(default_factory=dict[tuple[Value, int], None])
    readers: dict[Node, None] = field(default_factory=dict[Node, None])
    writers: dict[Node, None] = field(default_factory=dict[Node, None])

    def grown(self, reader: Node) -> Link | Declined:
        """All that is scaled with what `reader` is given."""
        x = reader.operands[0]
        axis = x.rank - 1 if isinstance(reader.op, Linear) else 1
        channels, pending = x.shape[axis], [(x, axis)]
        while pending:
            value, axis = pending.pop()
            if value in self.refused:
                return Declined(self.refused[value], reader)
            if value in self.axes:
                if self.axes[value] != axis:
                    return Declined("its channels meet along two axes", reader)
                continue
            self.axes[value] = axis
            reached = self._reached(value, axis)
            if isinstance(reached, str):
                return Declined(reached, reader)
            pending += reached
        parts = [*self.before, *self.after]
        if not isinstance(channels, int) or not self.before or not parts:
            return Declined("nobody knows how many channels there are", reader)
        shared = next((p.weight for p in parts if self.uses[p.weight] > 1 or p.weight in self.graph.outputs), None)
        if shared is not None:
            return Declined(f"the weight `{path_of(shared)}` is read elsewhere, too", reader)
        between = tuple(self.read), tuple(self.readers), tuple(self.writers)
        return Link(channels, tuple(self.before), tuple(self.after), *between)

    def _reached(self, value: Value, axis: int) -> list[tuple[Value, int]] | str:
        """The values that are scaled with a value, around it; or why it cannot be scaled."""
        if value in self.graph.outputs:
            return "what it is given is a result of the network, too"
        around = self._made(value, axis)
        if isinstance(around, str):
            return around
        for user in self.graph.users[value.node]:
            if value not in user.operands:
                continue
            behind = self._read(user, value, axis)
            if isinstance(behind, str):
                return behind
            around += behind
        return around

    def _made(self, value: Value, axis: int) -> list[tuple[Value, int]] | str:
        """The operands that are scaled where a value is; none where weights take the scale."""
        node = value.node
        along_channels = axis == (1 if isinstance(node.op, Conv | BatchNorm) else value.rank - 1)
        if isinstance(node.op, Linear | Conv) and along_channels:
            return self._taken(node, node.operands[1:])
        if isinstance(node.op, (*NORMS,)) and along_channels:
            affine = [node.operands[i] for i in NORMS[type(node.op)] if i < len(node.operands)]
            return self._taken(node, affine) if affine else f"the `{node.op.name}` before it has no scale"
        if self._is_channelwise(node, axis):
            return [(node.operands[0], axis)]
        found = carried(node, axis)
        if found is None or any(not _hands_on(node) for i in range(len(node.operands)) if i not in found):
            return f"`{node.op.name}` lies between it and what makes its channels"
        return [(node.operands[i], along) for i, along in found.items()]

    def _taken(self, node: Node, weights: Sequence[Value]) -> list[tuple[Value, int]] | str:
        """Let weights whose first axis are the channels take the scale."""
        if not all(isinstance(w.op, Param) for w in weights):
            return f"a weight of the `{node.op.name}` before it is computed"
        for i, weight in enumerate(weights):
            view = tuple(map(known, weight.shape))
            self.before[Part(weight, view, (view[0], *(1,) * (len(view) - 1)), is_shift=i > 0)] = None
        self.writers[node] = None
        return []

    def _read(self, user: Node, value: Value, axis: int) -> list[tuple[Value, int]] | str:
        """What is scaled because a value is that `user` reads; none where its weight makes up for it."""
        first = user.operands[0] is value and user.operands.count(value) == 1
        if isinstance(user.op, Linear | Conv):
            if not first or axis != (1 if isinstance(user.op, Conv) else value.rank - 1):
                return f"a `{user.op.name}` reads it along another axis"
            weight = user.operands[1]
            if not isinstance(weight.op, Param):
                return f"the weight of a `{user.op.name}` that reads it is computed"
            self.after[_columns(user, weight)] = None
            self.read[value, axis] = None
            self.readers[user] = None
            return []
        for y in user.outputs:
            along = [a for a in range(y.rank) if self._comes_from(user, a, value, axis)]
            if len(along) != 1:
                return f"`{user.op.name}` reads it, which does not hand a factor on"
            return [(y, along[0])]
        return []

    def _comes_from(self, user: Node, along: int, value: Value, axis: int) -> bool:
        if self._is_channelwise(user, along):
            return along == axis
        found = carried(user, along) or {}
        return any(user.operands[i] is value and a == axis for i, a in found.items())

    def _is_channelwise(self, node: Node, axis: int) -> bool:
        """Whether a node hands on what is done to each channel, along `axis`."""
        if self.functions and isinstance(node.op, Activation | FloatUnary):
            return len(node.operands) == 1
        return isinstance(node.op, Relu | LeakyRelu) or (isinstance(node.op, POOLS) and axis == 1)


def _hands_on(node: Node) -> bool:
    """Whether an operand that is not scaled leaves the others scaled: a factor, or places."""
    return isinstance(node.op, (*MOVES, Multiply, Divide))


def _columns(node: Node, weight: Value) -> Part:
    """The inputs of a weight [O, I] or [O, I / groups, *K]."""
    out, inputs, *kernel = map(known, weight.shape)
    groups = node.op.groups if isinstance(node.op, Conv) and isinstance(node.op.groups, int) else 1
    view = (groups, out // groups, inputs, *kernel)
    return Part(weight, view, (groups, 1, inputs, *(1 for _ in kernel)))
