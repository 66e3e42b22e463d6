"""Which values depend on weights and constants alone: what can be computed before a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import leaves
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.ops.random import RunKey


class Static:
    """Which values of a graph are static. Values that are made later may be asked for, too."""

    def __init__(self, graph: Graph) -> None:
        updated = {old.node for old, _ in graph.updates}
        self._static = _Inherited(lambda node: node not in updated and _is_fixed(node), all)
        self._weighted = _Inherited(lambda node: isinstance(node.op, Param | State), any)

    def __contains__(self, value: Value) -> bool:
        return self._static.of(value.node)

    def has_weights(self, value: Value) -> bool:
        """Whether a value depends on any weight."""
        return self._weighted.of(value.node)


class _Inherited:
    """A property that a node has by itself, and by those of its operands: all of them, or any."""

    def __init__(self, own: Callable[[Node], bool], joined: Callable[[Iterable[bool]], bool]) -> None:
        self._own, self._joined = own, joined
        self._known: dict[Node, bool] = {}

    def of(self, node: Node) -> bool:
        known, pending = self._known, [node]
        while pending:
            current = pending[-1]
            unknown = [v.node for v in current.operands if v.node not in known] if current not in known else []
            pending += unknown
            if unknown:
                continue
            pending.pop()
            if current not in known:
                known[current] = self._joined((self._own(current), *(known[v.node] for v in current.operands)))
        return known[node]


def is_weight(value: Value) -> bool:
    """Whether a value is a param or a state as it is stored."""
    return isinstance(value.op, Param | State)


def _is_fixed(node: Node) -> bool:
    """Whether a node computes the same in every run: sizes that only the run knows may not occur in it."""
    if isinstance(node.op, Input | RunKey):
        return False
    symbolic = (isinstance(leaf, Dim) for name in node.op.attributes for leaf in leaves(getattr(node.op, name)))
    return not any(symbolic) and not any(isinstance(size, Dim) for v in node.outputs for size in v.shape)
