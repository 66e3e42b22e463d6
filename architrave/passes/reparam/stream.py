"""Finding the residual streams of a network: sums of vectors that nothing but norms reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.passes.journal import Declined
from architrave.passes.reparam.affine import Dense
from architrave.passes.reparam.carried import MOVES, carried
from architrave.passes.reparam.views import view
from architrave.passes.static import Static


@dataclass(frozen=True)
class Stream:
    """A residual stream: its values, who writes to it, and the norms that read it."""

    axes: dict[Value, int] = field(default_factory=dict[Value, int])
    """Its values, each with the axis that vectors lie along."""
    norms: dict[Node, None] = field(default_factory=dict[Node, None])
    maps: dict[Node, None] = field(default_factory=dict[Node, None])
    """Linear layers and convolutions that write to it."""
    fixed: dict[tuple[Node, int], int] = field(default_factory=dict[tuple[Node, int], int])
    """Tables and other weights that are written to it, as the operand of a node, with the axis of their vectors."""


@dataclass(frozen=True)
class Reading:
    """Where the result of a norm goes: to linear layers and convolutions alone, if `complete`."""

    axes: dict[Value, int] = field(default_factory=dict[Value, int])
    """The result, and what moves its vectors to other places."""
    maps: dict[Node, None] = field(default_factory=dict[Node, None])
    others: list[Node | None] = field(default_factory=list[Node | None])
    """What else uses it; None for the network itself, which returns it."""


def streams(graph: Graph, norm: type[LayerNorm | RmsNorm], static: Static) -> Iterator[Stream | Declined]:
    """Every stream that norms of a kind read; or why what they read is none that can be written otherwise."""
    seen: set[Value] = set()
    for node in graph.nodes:
        if not isinstance(node.op, norm) or node.operands[0] in seen:
            continue
        finding = _Finding(graph, norm, static)
        problem = finding.spread(node)
        seen.update(finding.stream.axes)
        yield problem or finding.stream


def reading(graph: Graph, norm: Node, static: Static) -> Reading:
    """Where the result of a norm goes."""
    (y,) = norm.outputs
    found = Reading({y: y.rank - 1})
    pending = [y]
    while pending:
        value = pending.pop()
        if value in graph.outputs:
            found.others.append(None)
        for user in graph.users[value.node]:
            along = _onward(user, value, found.axes[value]) if isinstance(user.op, MOVES) else None
            if along is not None:
                found.axes[user.outputs[0]] = along
                pending.append(user.outputs[0])
            elif user.operands.count(value) == 1 and _maps_from(user, value, found.axes[value], static):
                found.maps[user] = None
            else:
                found.others.append(user)
    return found


@dataclass
class _Finding:
    """The search for one stream, in both directions from what a norm reads."""

    graph: Graph
    norm: type[LayerNorm | RmsNorm]
    static: Static
    stream: Stream = field(default_factory=Stream)
    pending: list[Value] = field(default_factory=list[Value])
    problems: list[Declined] = field(default_factory=list[Declined])

    def spread(self, norm: Node) -> Declined | None:
        """Follow the stream as far as it goes; why it cannot be written otherwise.

        It is followed beyond a problem, too, so that no other norm that reads it has to start again.
        """
        x = norm.operands[0]
        if not isinstance(x.shape[-1], int) or x.shape[-1] < 2:
            return Declined("its vectors are not of several coordinates, as many in every run", norm)
        self._join(x, x.rank - 1, norm)
        while self.pending:
            value = self.pending.pop()
            self._look_back(value)
            self._look_ahead(value)
        return next(iter(self.problems), None)

    def _join(self, value: Value, axis: int, node: Node) -> None:
        """A value is part of the stream."""
        if value not in self.stream.axes:
            self.stream.axes[value] = axis
            self.pending.append(value)
        elif self.stream.axes[value] != axis:
            self._refuse("the vectors of the stream lie along two axes", node)

    def _look_back(self, value: Value) -> None:
        """Where a value of the stream comes from."""
        node, axis = value.node, self.stream.axes[value]
        sources = carried(node, axis)
        if sources is None:
            self._look_at_writer(value)
            return
        for position, along in sources.items():
            operand = node.operands[position]
            if operand in self.static:
                self.stream.fixed[node, position] = along
            else:
                self._join(operand, along, node)

    def _look_at_writer(self, value: Value) -> None:
        node, axis = value.node, self.stream.axes[value]
        if isinstance(node.op, Full) and node.op.value == 0:
            return
        found = view(value, self.static)
        if isinstance(found, Dense) and found.axis == axis and found.window.groups == 1:
            self.stream.maps[node] = None
            return
        reason = f"`{node.op.name}` writes to the stream, and has no weight by which to write something else"
        self._refuse(reason, node)

    def _look_ahead(self, value: Value) -> None:
        """Where a value of the stream goes."""
        axis = self.stream.axes[value]
        if value in self.graph.outputs:
            self._refuse("the network returns the stream itself", value.node)
        for user in self.graph.users[value.node]:
            if isinstance(user.op, self.norm) and user.operands[0] is value and axis == value.rank - 1:
                self.stream.norms[user] = None
                continue
            along = _onward(user, value, axis)
            if along is None:
                self._refuse(f"`{user.op.name}` reads the stream, and is no `{self.norm.name}` of it", user)
            else:
                self._join(user.outputs[0], along, user)

    def _refuse(self, reason: str, node: Node) -> None:
        self.problems.append(Declined(reason, node))


def _onward(user: Node, value: Value, axis: int) -> int | None:
    """The axis of the result of a node along which the vectors of an operand lie; None where it does not carry them."""
    positions = [i for i, v in enumerate(user.operands) if v is value]
    for along in range(user.outputs[0].rank):
        found = carried(user, along)
        if found is not None and all(found.get(i) == axis for i in positions):
            return along
    return None


def _maps_from(user: Node, value: Value, axis: int, static: Static) -> bool:
    """Whether a node is a map of all coordinates of a value, the same everywhere."""
    found = view(user.outputs[0], static)
    if not isinstance(found, Dense) or found.x is not value or found.axis != axis:
        return False
    return found.window.groups == 1 and not found.window.is_padded
