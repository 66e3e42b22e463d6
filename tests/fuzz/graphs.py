"""Random well-typed graphs, drawn by hypothesis from the samples of the operators.

Every node is computed as it is drawn, so that numbers stay finite and of a moderate size: a graph that is mostly NaN
or infinite would agree with anything.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

import architrave.ir.ops  # noqa: F401  # fills the registry
from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Graph, Node, Value, make, serial_now
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Op, Sample
from architrave.ir.ops.control import Mode, Scan
from architrave.ir.ops.leaves import Initial, Input, Param
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, TensorType

Array = np.ndarray[Any, Any]

DEPTH = 30
LARGEST = 64.0
"""What lies beyond is scaled down before it is used."""
TOO_LARGE = 1e5
"""What lies beyond is not used: where it comes from is no doubt nearly singular."""
ELEMENTS = 200
FLOAT_OR_NOT = (DType.FLOAT, DType.COMPLEX, DType.BOOL, DType.I64, DType.I32, DType.U8, DType.U32)
"""Dtypes that operands may be made in from whatever is there; of others only the sample's own numbers will do."""


@dataclass(frozen=True)
class Drawn:
    """A graph, with what it is run on."""

    graph: Graph
    weights: dict[str, Array]
    inputs: list[Array]
    training: bool

    def __repr__(self) -> str:
        """What a failure shows."""
        return f"{'training' if self.training else 'inference'}\n{self.graph}\n{self.weights}\n{self.inputs}"


@dataclass(frozen=True)
class Use:
    """An operator on operands of some types. `given` holds those whose values matter."""

    op: Op
    types: tuple[TensorType, ...]
    given: tuple[Array | None, ...]
    high: int


@cache
def uses() -> tuple[Use, ...]:
    """What graphs are made of: every good sample that is neither empty nor large. Simple ones come first."""
    found = [(OPS[name], sample) for name in OPS for sample in OPS[name].samples() if sample.error is None]
    usable = [_use(kind, sample) for kind, sample in found if sample.types and all(map(_is_usable, sample.types))]
    return tuple(sorted(usable, key=lambda use: (len(use.types), use.op.is_composite())))


def _use(kind: type[Op], sample: Sample) -> Use:
    # Floats in an array are there for their edges: in a graph, other numbers will do as well.
    kept = "iub" if kind.presumes is None else "iubfc"
    given = tuple(x if isinstance(x, np.ndarray) and x.dtype.kind in kept else None for x in sample.inputs)
    return Use(kind(**sample.attributes), sample.types, given, sample.high)


def _is_usable(type: TensorType) -> bool:
    return 0 < math.prod(_sizes(type.shape)) <= ELEMENTS and type.dtype in FLOAT_OR_NOT


@dataclass
class Drawing:
    """A graph that is being drawn. `values` holds what each value is when the graph is run."""

    draw: Any
    rng: np.random.Generator
    training: bool
    values: dict[Value, Array] = field(default_factory=dict)
    pool: list[Value] = field(default_factory=list)
    leaves: list[Value] = field(default_factory=list)
    in_mode: bool = False
    """Whether a side of a mode is being drawn: inside it text has no other mode."""

    def steps(self, count: int, depth: int = 0) -> None:
        """Add to the pool, step by step."""
        for _ in range(count):
            kind = self.draw(st.integers(0, 11)) if depth < 2 else 0
            if kind < 10:
                self.use(uses()[self.draw(st.integers(0, len(uses()) - 1))])
            elif kind == 10 or self.in_mode:
                self.scan(depth)
            else:
                self.mode(depth)

    def use(self, use: Use) -> None:
        """Apply an operator to operands made from the pool."""
        pairs = zip(use.types, use.given, strict=True)
        self.add(make(use.op, [self.operand(type, given, use.high) for type, given in pairs]))

    def add(self, node: Node) -> None:
        """Let the results of a node be used, unless they are beyond all bounds."""
        for value in self.computed(node):
            if np.all(np.abs(self.values[value]) < TOO_LARGE):
                self.pool.append(self.bounded(value))

    def computed(self, node: Node) -> tuple[Value, ...]:
        operands = tuple(make(Input(f"x{i}", v.type), ()).outputs[0] for i, v in enumerate(node.operands))
        graph = Graph("step", operands, make(node.op, operands).outputs)
        results = interpret(graph, [self.values[v] for v in node.operands], training=self.training).outputs
        self.values.update(zip(node.outputs, results, strict=True))
        return node.outputs

    def apply(self, name: str, *operands: Value, **attributes: Any) -> Value:
        (value,) = self.computed(make(OPS[name](**attributes), operands))
        return value

    def number(self, number: float, type: TensorType) -> Value:
        return self.apply("full", value=number, shape=(), dtype=type.dtype)

    def constant(self, array: Array, dtype: DType) -> Value:
        (value,) = self.computed(make(constant_of(array, dtype, array.shape), ()))
        return value

    def bounded(self, value: Value) -> Value:
        """The value, or a part of it that is not too large."""
        if value.dtype is not DType.FLOAT:
            return value
        largest = float(np.max(np.abs(self.values[value]), initial=0.0))
        if largest <= LARGEST:
            return value
        return self.apply("multiply", value, self.number(2.0 ** -math.ceil(math.log2(largest)), value.type))

    def operand(self, type: TensorType, given: Array | None, high: int) -> Value:
        """A value of a type: the sample's own, one from the pool, or a new leaf."""
        if given is not None:
            return self.constant(given, type.dtype)
        match type.dtype:
            case DType.FLOAT:
                return self.float(_sizes(type.shape))
            case DType.COMPLEX:
                return self.apply("complex", self.float(_sizes(type.shape)), self.float(_sizes(type.shape)))
            case DType.BOOL:
                return self.apply("greater", self.float(_sizes(type.shape)), self.number(0.25, _FLOAT))
            case _:
                return self.integer(type, high)

    def integer(self, type: TensorType, high: int) -> Value:
        """Integers that may index something, from a float."""
        number = self.apply("floor", self.apply("multiply", self.float(_sizes(type.shape)), self.number(3.3, _FLOAT)))
        whole = self.apply("cast", number, dtype=DType.I64)
        within = self.apply("remainder", whole, self.number(high, TensorType(DType.I64, ())))
        return within if type.dtype is DType.I64 else self.apply("cast", within, dtype=type.dtype)

    def float(self, shape: tuple[int, ...]) -> Value:
        """Floats of a shape: from what was computed last, as a rule."""
        known = [v for v in self.pool if v.dtype is DType.FLOAT and self.values[v].size]
        choice = self.draw(st.integers(0, min(4, len(known))))
        return self.leaf(shape) if choice == len(known) else self.reshaped(known[-1 - choice], shape)

    def leaf(self, shape: tuple[int, ...]) -> Value:
        type, number = TensorType(DType.FLOAT, shape), len(self.leaves)
        op = Param(f"w{number}", type, Initial("zeros")) if self.draw(st.booleans()) else Input(f"x{number}", type)
        value = make(op, ()).outputs[0].named(f"x{number}")
        self.values[value] = self.rng.normal(size=shape)
        self.leaves.append(value)
        self.pool.append(value)
        return value

    def reshaped(self, value: Value, shape: tuple[int, ...]) -> Value:
        """As many elements of a value as the shape has; repeated ones become different, lest there be ties."""
        if value.shape == shape:
            return value
        wanted, size = math.prod(shape), self.values[value].size
        if value.rank != 1:
            value = self.apply("reshape", value, shape=(size,))
        if size > wanted:
            value = self.apply("slice", value, starts=(0,), stops=(wanted,), steps=(1,))
        elif size < wanted:
            places = self.constant(np.arange(wanted) % size, DType.I64)
            # In steps of the golden ratio, so that matrices made of them are not singular.
            apart = self.constant(np.arange(wanted) * 0.618 % 1, DType.FLOAT)
            value = self.apply("add", self.apply("take", value, places, axis=0), apart)
        return value if len(shape) == 1 else self.apply("reshape", value, shape=shape)

    def scan(self, depth: int) -> None:
        """A loop whose body is drawn, over a sequence; it emits what it carries, before that is squashed."""
        first, sequence = self.float((3,)), self.float((3, 4))
        since = serial_now()
        carried, item = placeholder("h", first.type), placeholder("t", TensorType(DType.FLOAT, (4,)))
        self.values[carried], self.values[item] = self.values[first], self.values[sequence][0]
        result = self.inside([carried, item], depth)
        after = self.apply("tanh", self.reshaped(result, (3,)))
        (body,), captures = enclose([Body("body", (carried, item), (after, result))], since)
        reverse = self.draw(st.booleans())
        self.add(make(Scan(body, 1, 1, 3, reverse=reverse), (first, sequence, *captures)))

    def mode(self, depth: int) -> None:
        """Two sides, both drawn."""
        since = serial_now()
        self.in_mode = True
        sides = [self.reshaped(self.inside([], depth), (2, 3)) for _ in range(2)]
        self.in_mode = False
        bodies = [Body(name, (), (side,)) for name, side in zip(("training", "inference"), sides, strict=True)]
        (training, inference), captures = enclose(bodies, since)
        self.add(make(Mode(training, inference), captures))

    def inside(self, given: Sequence[Value], depth: int) -> Value:
        """A float that some steps inside a sub-graph come to; what else they made is not seen outside."""
        outside = list(self.pool)
        self.pool += given
        self.steps(self.draw(st.integers(1, 4)), depth + 1)
        result = self.float((4,))
        self.pool[:] = [*outside, *(v for v in self.pool if v in self.leaves and v not in outside)]
        return result


_FLOAT = TensorType(DType.FLOAT, ())


@st.composite
def drawn(draw: Any) -> Drawn:
    """A graph with up to `DEPTH` operators one after another, and more that make one's results another's operands."""
    training = draw(st.booleans())
    drawing = Drawing(draw, np.random.default_rng(draw(st.integers(0, 1000))), training)
    first = drawing.leaf((2, 3))  # whose dtype is the precision of the run
    drawing.steps(draw(st.integers(1, DEPTH)))
    results = drawing.pool[-3:]
    graph = Graph("Drawn", (), tuple(dict.fromkeys(results)))
    used = {node.outputs[0] for node in graph.nodes if not node.operands}
    leaves = [v for v in drawing.leaves if v in used or v is first]
    inputs = tuple(v for v in leaves if isinstance(v.op, Input))
    weights = tuple(v for v in leaves if isinstance(v.op, Param))
    values = {v.op.path: drawing.values[v] for v in weights if isinstance(v.op, Param)}
    graph = Graph("Drawn", inputs, graph.outputs, weights)
    return Drawn(graph, values, [drawing.values[v] for v in inputs], training)


def _sizes(shape: Sequence[Any]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else 2 for size in shape)
