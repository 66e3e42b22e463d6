"""Graphs of immutable, typed nodes.

A `Node` applies an operator to values; a `Value` is one output of a node. A graph is a directed acyclic
graph, named by its inputs, outputs and weights. Types come from the operator's `infer` when the node is
made, never from a claim. Equality and hashes are structural: they ignore spans, places, hints and facts.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from architrave.ir.dims import Dim, Size, symbols
from architrave.ir.op import OPS, Op
from architrave.ir.source import ArchitraveError, Note, Span
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    import networkx as nx

_serial = itertools.count()


@dataclass(frozen=True)
class Block:
    """Where code was written: the block, fn or model that a place instantiates.

    `arguments` are the static arguments of this instance, by name, as Python values.
    """

    kind: str  # "block", "fn" or "model"
    name: str
    doc: str | None = None
    span: Span | None = None
    arguments: tuple[tuple[str, object], ...] = field(default=(), compare=False)


@dataclass(frozen=True, eq=False)
class Place:
    """One application of an instance: the path of instance names, and the block that each is one of.

    Two applications of one instance are two places with one path. A place of a fn adds no segment.
    """

    segment: str
    block: Block | None = None
    parent: Place | None = None
    span: Span | None = None

    @cached_property
    def path(self) -> str:
        """The dotted name, `layer1.0.conv1`; the empty string for the model itself."""
        above = self.parent.path if self.parent is not None else ""
        return f"{above}.{self.segment}" if above and self.segment else above or self.segment

    @cached_property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    def trail(self) -> tuple[Note, ...]:
        """The chain of instances from the model down, as errors show it."""
        steps: list[Note] = []
        place: Place | None = self
        while place is not None:
            if place.block is not None:
                steps.append(Note(f"`{place.path or place.block.name}`: {place.block.name}", place.span))
            place = place.parent
        return tuple(reversed(steps))

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Fact:
    """An annotation, `@quant(weight = 4)`, as it reached a node."""

    name: str
    args: tuple[object, ...] = ()
    kwargs: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Here:
    """What new nodes are marked with: the span and the place that they come from, and their facts."""

    span: Span | None = None
    place: Place | None = None
    facts: tuple[Fact, ...] = ()


_here: ContextVar[Here] = ContextVar("here", default=Here())


def here() -> Here:
    """The marks that new nodes get now."""
    return _here.get()


@contextlib.contextmanager
def marked(**changes: Any) -> Iterator[None]:
    """New nodes get these marks (`span=`, `place=`, `facts=`) inside the `with`."""
    token = _here.set(replace(_here.get(), **changes))
    try:
        yield
    finally:
        _here.reset(token)


def mark(now: Here) -> Here:
    """Set the marks of new nodes; returns the earlier ones. The fast form of `marked`."""
    before = _here.get()
    _here.set(now)
    return before


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

    def named(self, hint: str) -> Value:
        """The same value; `hint` is the name that printed and emitted code gives it, if it has none yet."""
        self.node.hints.setdefault(self.index, hint)
        return self

    @property
    def hint(self) -> str | None:
        return self.node.hints.get(self.index)

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
        self.hints: dict[int, str] = {}
        self.serial = next(_serial)
        self.hash = hash((op, *((v.node.hash, v.index) for v in operands)))

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
    marks = marks or _here.get()
    operands = tuple(operands)
    try:
        types = op.infer(*[v.type for v in operands])
    except ArchitraveError as problem:
        raise _located(problem, op, operands, marks) from None
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


def rebuild(
    graph: Graph,
    rewrite: Callable[[Node, tuple[Value, ...]], Sequence[Value] | None],
    **changes: Any,
) -> Graph:
    """The graph with each node offered to `rewrite`, operands first.

    `rewrite` gets a node and its new operands and returns the values that take its outputs' places, or
    None to keep the node (on the new operands). `changes` are fields of the new graph, such as `name`.
    """
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        operands = tuple(new[v] for v in node.operands)
        replacement = rewrite(node, operands)
        if replacement is None:
            replacement = kept(node, operands)
        new.update(zip(node.outputs, replacement, strict=True))
    return replace(
        graph,
        **{
            "inputs": tuple(new[v] for v in graph.inputs),
            "outputs": tuple(new[v] for v in graph.outputs),
            "weights": tuple(new[v] for v in graph.weights),
            "updates": tuple((new[s], new[v]) for s, v in graph.updates if new[s] is not new[v]),
            **changes,
        },
    )


def kept(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
    """The outputs of `node` on other operands; those of the node itself where they are the same."""
    if operands == node.operands:
        return node.outputs
    copy = make(node.op, operands, node.marks)
    copy.hints.update(node.hints)
    return copy.outputs


def inline(graph: Graph, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """The outputs of a graph with its inputs replaced by `arguments`."""
    new: dict[Value, Value] = dict(zip(graph.inputs, arguments, strict=True))
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in new:
            continue
        new.update(zip(node.outputs, kept(node, tuple(new[v] for v in node.operands)), strict=True))
    return tuple(new[v] for v in graph.outputs)


def _binary(name: str, a: Operand, b: Operand) -> Value:
    return apply(OPS[name](), a, b)


def _located(problem: ArchitraveError, op: Op, operands: Sequence[Value], marks: Here) -> ArchitraveError:
    """The error of `op.infer` at the place of the new node, with where each operand came from."""
    notes = tuple(
        Note(f"{name} is {v.type}", v.node.span)
        for name, v in zip(("the first operand", "the second operand", "the third operand"), operands, strict=False)
        if v.node.span is not None and v.op.name != "full"
    )
    trail = marks.place.trail() if marks.place is not None else ()
    return ArchitraveError(
        [
            replace(d, span=d.span or marks.span, notes=(*d.notes, *notes), trail=d.trail or trail)
            for d in problem.diagnostics
        ]
    )
