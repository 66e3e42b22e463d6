"""Graphs of immutable, typed nodes.

A `Node` applies an operator to values; a `Value` is one output of a node. A graph is a directed acyclic
graph, named by its inputs, outputs and weights. Types come from the operator's `infer` when the node is
made, never from a claim. Equality and hashes are structural: they ignore spans, places, hints and facts.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from architrave.ir.blame import located
from architrave.ir.dims import Dim, Size, symbols
from architrave.ir.op import OPS, Op
from architrave.ir.place import Fact, Here, Place, here
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    import networkx as nx

_serial = itertools.count()


class Value:
    """One output of a node."""

    __slots__ = ("index", "node", "type")

    def __init__(self, node: Node, index: int, type: TensorType) -> None:
        self.node = node
        self.index = index
        self.type = type

    @property
    def op(self) -> Op:
        return self.node.op

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    @property
    def rank(self) -> int:
        return len(self.type.shape)

    def named(self, hint: str, by: Place | None = None) -> Value:
        """The same value; `hint` is the name that printed and emitted code gives it, if it has none yet.

        `by` is the place of the code that names it, if that is not the node's own: a block may give a name
        of its own to what a block inside it returns. What a block is given keeps the name that it came with.
        """
        up = 0 if by is None or self.node.place is None else self.node.place.above(by)
        if up is not None:
            self.node.hints.setdefault((self.index, up), hint)
        return self

    @property
    def hint(self) -> str | None:
        """The name of the value where it is made, or else nearest to that."""
        hints = self.node.hints
        if not hints:
            return None
        own = hints.get((self.index, 0))
        return own or next((hint for (index, _), hint in sorted(hints.items()) if index == self.index), None)

    def hint_between(self, least: int, most: int) -> str | None:
        """The name that the outermost code gives it of those `least` to `most` places above where it is made."""
        hints = self.node.hints
        return next((hints[self.index, up] for up in range(most, least - 1, -1) if (self.index, up) in hints), None)

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.hint or ''}: {self.type}>"

    def __add__(self, other: Operand) -> Value:
        return _binary("add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return _binary("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return _binary("subtract", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return _binary("subtract", other, self)

    def __mul__(self, other: Operand) -> Value:
        return _binary("multiply", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return _binary("multiply", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _binary("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return _binary("divide", other, self)

    def __floordiv__(self, other: Operand) -> Value:
        return _binary("floor_divide", self, other)

    def __mod__(self, other: Operand) -> Value:
        return _binary("remainder", self, other)

    def __pow__(self, other: Operand) -> Value:
        return _binary("power", self, other)

    def __matmul__(self, other: Value) -> Value:
        return _binary("matmul", self, other)

    def __neg__(self) -> Value:
        return apply(OPS["negative"](), self)

    def __lt__(self, other: Operand) -> Value:
        return _binary("less", self, other)

    def __le__(self, other: Operand) -> Value:
        return _binary("less_equal", self, other)

    def __gt__(self, other: Operand) -> Value:
        return _binary("greater", self, other)

    def __ge__(self, other: Operand) -> Value:
        return _binary("greater_equal", self, other)


Operand = Value | int | float | bool | Dim


class Node:
    """An operator applied to values. Made by `make`; never changed, but for the hints of names."""

    __slots__ = ("facts", "hash", "hints", "op", "operands", "outputs", "place", "serial", "span")

    def __init__(self, op: Op, operands: tuple[Value, ...], types: tuple[TensorType, ...], marks: Here) -> None:
        self.op = op
        self.operands = operands
        self.outputs = tuple(Value(self, i, t) for i, t in enumerate(types))
        self.span = marks.span
        self.place = marks.place
        self.facts = marks.facts
        self.hints: dict[tuple[int, int], str] = {}
        """Names of the outputs, by their index and how many places further out they were given."""
        self.serial = next(_serial)
        # With the name: operators without attributes all have one hash. Captures may stand in any order (see compare).
        ordered = () if op.graph_attributes else operands
        self.hash: int = hash((op.name, op, *((v.node.hash, v.index) for v in ordered)))

    @property
    def types(self) -> tuple[TensorType, ...]:
        return tuple(v.type for v in self.outputs)

    @property
    def marks(self) -> Here:
        return Here(self.span, self.place, self.facts)

    def __repr__(self) -> str:
        return f"<node {self.op.name} at {self.place or '?'}>"


def make(op: Op, operands: Sequence[Value], marks: Here | None = None) -> Node:
    """The one constructor of nodes. Infers the types; an error gets the span and place of `marks`."""
    marks = marks or here()
    operands = tuple(operands)
    try:
        types = op.infer(*[v.type for v in operands])
    except ArchitraveError as problem:
        raise located(problem, operands, marks) from None
    return Node(op, operands, types if isinstance(types, tuple) else (types,), marks)


def apply(op: Op, *operands: Operand) -> Value:
    """Apply an operator that has one output. Numbers become constants of the other operands' dtype."""
    return make(op, lift(*operands)).outputs[0]


def lift(*operands: Operand) -> tuple[Value, ...]:
    """Values for numbers: a constant takes the dtype of the first tensor, unless a float meets integers.

    Truth values give way to numbers, so that in `where(condition, 0, x)` the constant is like `x`.
    """
    dtypes = [v.dtype for v in operands if isinstance(v, Value)]
    dtype = next((d for d in dtypes if not d.is_bool), dtypes[0] if dtypes else DType.FLOAT)
    return tuple(v if isinstance(v, Value) else constant(v, dtype) for v in operands)


def constant(number: float | bool | Dim, like: DType = DType.FLOAT) -> Value:
    """A scalar: `like`, or the narrowest kind that can hold the number where `like` cannot.

    A symbolic size is a number that is known when the network runs.
    """
    dtype = like
    if isinstance(number, bool):
        dtype = DType.BOOL
    elif isinstance(number, int | Dim) and like.is_bool:
        dtype = DType.I64
    elif isinstance(number, float) and not (like.is_float or like.is_complex):
        dtype = DType.FLOAT
    return make(OPS["full"](value=number, shape=(), dtype=dtype), ()).outputs[0]  # type: ignore[call-arg]  # by registry


def serial_now() -> int:
    """A mark: nodes made from now on have a later serial number."""
    return next(_serial)


@dataclass(frozen=True, eq=False)
class Graph:
    """What a network is: `inputs` and `weights` are leaves, `outputs` what it returns.

    `weights` are the params and states in the order of their declaration, used or not; `updates` gives
    the new value of each state that the network changes. Sub-graphs of control-flow operators are graphs
    with inputs and outputs alone: what they use from outside is passed in.
    """

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    weights: tuple[Value, ...] = ()
    updates: tuple[tuple[Value, Value], ...] = ()
    place: Place | None = None
    facts: tuple[Fact, ...] = ()
    constraints: tuple[object, ...] = ()

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that the outputs, updates and weights need, operands first, in order of making."""
        found: set[Node] = set()
        pending = [v.node for v in self.roots]
        pending += [v.node for v in self.inputs]
        while pending:
            node = pending.pop()
            if node in found:
                continue
            found.add(node)
            pending += [v.node for v in node.operands]
        return tuple(sorted(found, key=lambda n: n.serial))

    @property
    def roots(self) -> tuple[Value, ...]:
        """Whatever the graph must compute or hold: outputs, new states, weights."""
        return (*self.outputs, *(new for _, new in self.updates), *(old for old, _ in self.updates), *self.weights)

    @cached_property
    def users(self) -> Mapping[Node, tuple[Node, ...]]:
        """The nodes that use each node's outputs; a node that uses it twice stands there once."""
        users: dict[Node, dict[Node, None]] = {n: {} for n in self.nodes}
        for node in self.nodes:
            for operand in node.operands:
                users[operand.node][node] = None
        return {n: tuple(u) for n, u in users.items()}

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """The symbolic dimensions of the inputs, in the order in which they appear."""
        sizes = (s for v in self.inputs for s in v.shape)
        return tuple(dict.fromkeys(name for s in sizes for name in sorted(symbols(s))))

    def __eq__(self, other: object) -> bool:
        from architrave.ir.compare import equal

        return isinstance(other, Graph) and (self is other or equal(self, other))

    @cached_property
    def _hash(self) -> int:
        return hash(tuple((v.node.hash, v.index) for v in (*self.outputs, *(n for _, n in self.updates))))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        from architrave.ir.printer import print_graph

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<graph {self.name}: {len(self.nodes)} nodes>"

    def as_networkx(self) -> nx.MultiDiGraph[Node]:
        """A MultiDiGraph of the nodes; an edge's key is the operand's position, its `value` the Value."""
        import networkx as nx

        result: nx.MultiDiGraph[Node] = nx.MultiDiGraph(name=self.name)
        result.add_nodes_from((n, {"op": n.op.name, "place": str(n.place or "")}) for n in self.nodes)
        for node in self.nodes:
            for position, operand in enumerate(node.operands):
                result.add_edge(operand.node, node, key=position, value=operand)
        return result


def _binary(name: str, a: Operand, b: Operand) -> Value:
    return apply(OPS[name](), a, b)
