"""What a block knows while it is written: its variables, its sizes, and how its values are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager

from architrave.backends.arch.expression import Expression
from architrave.backends.code import ATOM, UNARY, Code
from architrave.backends.hierarchy import Chain, Region
from architrave.backends.names import Names
from architrave.backends.scope import hint_at
from architrave.backends.sizes import Sizes
from architrave.ir.dims import Dim, Size, symbol
from architrave.ir.graph import Node, Value
from architrave.ir.notation import KEYWORDS, constant_text, identifier, literal
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Arange, Constant, Full, Param, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Fact
from architrave.ir.types import DType, TensorType

_AXES = {1: ("N",), 2: ("N", "C"), 3: ("N", "T", "C"), 4: ("N", "C", "H", "W"), 5: ("N", "C", "D", "H", "W")}
"""What the field calls the axes of a tensor of some rank, for sizes that have no name of their own."""


RUN_KEY = "op.run_key()"


class Scope:
    """The variables of one block, and of the sub-graphs that stand in it.

    A variable is given to another value once the one that it holds is needed no more. Inside a sub-graph no variable
    is, lest the two sides of an `if` seem to set it: names there are new.
    """

    def __init__(self, region: Region, taken: Iterable[str], symbols: Sequence[str] | None) -> None:
        """`symbols` are those of a model, whose inputs name them; a block names what its inputs' types bind."""
        self.region = region
        self.names = Names((*KEYWORDS, *taken))
        self.values: dict[Value, Expression] = {}
        self.held: dict[str, Value | None] = {}
        self.left: Counter[Value] = Counter()
        self.targets: dict[Value, str] = {}
        """What the variable of a value must be called, where that is free by then."""
        self.depth = 0
        self.missing: dict[Size, str] = {}
        """The sizes that the block is given as static arguments."""
        self._hints: dict[Value, str | None] = {}
        self._uses: Counter[Value] = Counter()
        self._results: Counter[Value] = Counter()
        self._constants: list[Value] = []
        """The constants that have variables, inner ones last."""
        inputs = [v for v in region.inputs if not isinstance(v.op, RunKey)]
        self._sizes = self._sizes_of(inputs, symbols)

    # Sizes.

    def _sizes_of(self, inputs: Sequence[Value], symbols: Sequence[str] | None) -> Sizes:
        if symbols is not None:
            for name in symbols:
                self.names.add(name)
            return Sizes([("", tuple(map(symbol, symbols)))], self.names, {(0, i): n for i, n in enumerate(symbols)})
        reads: dict[tuple[int, int], str] = {}
        seen: set[Size] = set()
        for position, value in enumerate(inputs):
            for axis, size in enumerate(value.shape):
                if isinstance(size, Dim) and size not in seen:
                    seen.add(size)
                    reads[position, value.shape.index(size)] = self.names.fresh(axis_name(size, axis, value.rank))
        return Sizes([("", v.shape) for v in inputs], self.names, reads)

    def size(self, size: Size) -> str:
        """A size: computed from those that the inputs name, or given by the caller."""
        found = self._sizes.code(size)
        if found is not None:
            return found.text
        if size not in self.missing:
            self.missing[size] = self.names.fresh("size")
        return self.missing[size]

    def type(self, type: TensorType) -> str:
        """A tensor type, `f32[N, 3]`."""
        prefix = "" if type.dtype is DType.FLOAT else str(type.dtype)
        return f"{prefix}[{', '.join(map(self.size, type.shape))}]"

    def shape(self, shape: tuple[Size, ...]) -> str:
        return f"[{', '.join(map(self.size, shape))}]"

    # Values.

    def prepare(self, region: Region, results: Sequence[Value] | None = None) -> None:
        """Count how often each value is used in a region, and find what the source calls it there."""
        returned = tuple(region.results or region.outputs) if results is None else tuple(results)
        returns = Counter(returned)
        uses = returns.copy()
        uses.update(value for _, value in region.updates)
        for item in region.items:
            uses.update(tuple(item.operands if isinstance(item, Node) else item.inputs))
            last = item.regions[-1] if isinstance(item, Chain) else item
            inner = last.level if isinstance(last, Region) else None
            self._hints.update((v, hint_at(v, region.level, inner)) for v in item.outputs)
        # Equal instances share their sub-graphs: what is counted again is counted anew.
        for value, count in uses.items():
            self._uses[value] = self.left[value] = count
            self._results[value] = returns[value]

    def uses(self, value: Value) -> int:
        return self._uses[value]

    def returned(self, value: Value) -> int:
        """How many of the uses are as a result."""
        return self._results[value]

    def hint(self, value: Value) -> str | None:
        return self._hints.get(value)

    def expression(self, value: Value) -> Expression:
        """How a value is written where a tensor is meant."""
        known = self.values.get(value)
        if known is not None:
            return known
        match value.op:
            case RunKey():
                return Expression(Code(RUN_KEY))
            case Full() | Arange() | Constant():
                return Expression(Code(self._constant(value.op)), parts=1)
            case op:
                raise AssertionError(f"{op.name} is used before it is written")

    def number(self, value: Value) -> Expression:
        """How a scalar constant is written where a number is taken for it."""
        assert isinstance(value.op, Full)
        text = literal(value.op.value, self.size)
        return Expression(Code(text, UNARY if text.startswith("-") else ATOM))

    def _constant(self, op: Op) -> str:
        match op:
            case Full(value=value, shape=shape, dtype=dtype):
                return self._full(value, self.shape(shape), dtype)
            case Arange(size=size, dtype=dtype):
                return f"arange({self.size(size)}{_dtype(dtype, DType.I64)})"
            case Constant():
                return constant_text(op)
            case _:
                raise AssertionError(f"{op.name} is no constant")

    def _full(self, value: float | Dim, shape: str, dtype: DType) -> str:
        number = literal(value, self.size)
        if dtype is DType.FLOAT and number in ("0.0", "1.0"):
            return f"{'zeros' if number == '0.0' else 'ones'}({shape})"
        if isinstance(value, bool):
            return f"full({shape}, {number}{_dtype(dtype, DType.BOOL)})"
        if isinstance(value, Dim | int) or dtype.is_float:
            return f"full({shape}, {number}{_dtype(dtype, DType.FLOAT)})"
        return f"op.full(value = {number}, shape = {shape}, dtype = {dtype})"

    # Variables.

    def hold(self, name: str, value: Value) -> None:
        """Make a variable stand for a value."""
        self.held[name] = value
        self.values[value] = Expression(Code(name), (value,))

    def release(self, reads: Iterable[Value]) -> None:
        """What has been written needs its variables no more."""
        self.left.subtract(tuple(reads))

    def is_free(self, name: str) -> bool:
        """Whether a variable holds nothing that is still needed."""
        return name in self.held and ((holder := self.held[name]) is None or self.left[holder] <= 0)

    def pick(self, value: Value) -> str:
        """A variable for a value that is assigned now."""
        target = self.targets.get(value)
        if target is not None and self.is_free(target):
            return target
        return self.variable(self.hint(value) or "v")

    def variable(self, wanted: str) -> str:
        """A new variable, or, outside of sub-graphs, one that is free."""
        base = identifier(wanted)
        for name in (base, *(f"{base}_{i}" for i in range(2, 6))):
            if name not in self.names:
                self.names.add(name)
                break
            if self.depth == 0 and self.is_free(name):
                break
        else:
            name = self.names.fresh(base)
        self.held[name] = None
        return name

    def reserved(self, name: str) -> str:
        """The variable, which nothing gets until it holds something."""
        self.held.pop(name, None)
        return name

    def keep(self, constant: Value, name: str) -> None:
        """A constant has a variable as long as the sub-graph lasts that is being written."""
        self.values[constant] = Expression(Code(name))
        self._constants.append(constant)

    @contextmanager
    def inside(self, free: Iterable[str] = ()) -> Generator[None]:
        """In a sub-graph: only the variables in `free` may be given to other values. What is set there stays there."""
        outer = self.held
        self.held = {name: outer.get(name) for name in free}
        constants = len(self._constants)
        self.depth += 1
        yield
        self.depth -= 1
        while len(self._constants) > constants:
            del self.values[self._constants.pop()]
        outer.update((name, None) for name in self.held if name not in outer)
        self.held = outer


def axis_name(size: Size, axis: int, rank: int) -> str:
    """A name for the size of an axis: its own if it is a symbol, else what the field calls that axis."""
    text = str(size)
    if text.isidentifier():
        return text
    return _AXES[rank][axis] if rank in _AXES else "D"


def weight_name(value: Value) -> str:
    """The last part of a weight's path."""
    return identifier(re.split(r"\.", path_of(value))[-1])


def is_weight(value: Value) -> bool:
    return isinstance(value.op, Param | State)


def surplus(facts: tuple[Fact, ...], around: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """The annotations that are written, where those `around` reach as well."""
    return facts[len(around) :] if facts[: len(around)] == around else facts


def _dtype(dtype: DType, default: DType) -> str:
    return "" if dtype is default else f", dtype = {dtype}"


__all__ = ["Scope", "axis_name", "is_weight", "surplus", "weight_name"]
