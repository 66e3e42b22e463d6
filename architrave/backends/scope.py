"""What a function of a program knows while it is written: its values, their names, sizes and dtypes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, literal, sequence
from architrave.backends.hierarchy import Chain, Item, Region, is_constant
from architrave.backends.names import Names, identifier
from architrave.backends.sizes import Sizes
from architrave.backends.variables import Variables
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Node, Value
from architrave.ir.ops.leaves import Constant, Full, Input, Param, State, path_of
from architrave.ir.ops.random import RunKey
from architrave.ir.source import Span
from architrave.ir.types import DType


@dataclass(frozen=True, slots=True)
class Held:
    """How a value is written where it is used."""

    code: Code
    mentions: tuple[tuple[str, Value], ...] = ()
    """The variables in it, one for each use."""
    parts: float = 0
    """How many calls it is made of; an infix operator counts half."""
    span: Span | None = None


class FunctionScope(ABC):
    """The values at hand in one function. Serves the rules as their `Scope`."""

    def __init__(self, region: Region, rules: Rules, names: Names) -> None:
        self.region = region
        self.rules = rules
        self.names = names
        self.variables = Variables(names)
        self.values: dict[Value, Held] = {}
        self.weights = dict(region.captured)
        """For the inputs of sub-graphs that are weights: the weight."""
        self.targets: dict[Value, str] = {}
        """Values that should end up in a certain variable."""
        self.missing: dict[Size | None, str] = {}
        """What callers pass as further arguments: sizes, and under None a tensor of the run's precision."""
        self._uses: dict[Value, int] = {}
        self._users: dict[Value, Item] = {}
        self._wanted: dict[Value, str | None] = {}
        self._hints: dict[Value, str | None] = {}
        self._returned = set(region.results or region.outputs)
        self._local_sizes: dict[Size, Code] = {}
        self._also: list[tuple[str, Value]] = []
        """The variables that the expression being made mentions beside its operands."""
        self.prepare(region)
        self.parameters = tuple(self._parameter(v) for v in region.inputs)
        self._sizes = Sizes([(n, v.shape) for n, v in zip(self.parameters, region.inputs, strict=True)], names)

    # What each backend says in its own way.

    @abstractmethod
    def weight(self, value: Value) -> Code:
        """A param or state that is at hand in this region."""

    @abstractmethod
    def dtype(self, dtype: DType) -> str:
        """A dtype as the framework writes it."""

    @abstractmethod
    def use(self, name: str) -> str:
        """Copy a function of the prelude into the program."""

    @abstractmethod
    def leaf(self, value: Value) -> Code:
        """A leaf that is neither an input, a weight nor one number: a stored array, or the run's key."""

    def path(self, path: str) -> Code:
        """A place in the network; a backend that writes equal blocks once may write it relative to the block's."""
        return literal(path)

    # Values.

    def uses(self, value: Value) -> int:
        """How often a value is used in the body that it belongs to."""
        return self._uses.get(value, 0)

    def hint(self, value: Value) -> str | None:
        """What the source calls a value in this function."""
        if value not in self._hints:
            self._hints[value] = value.hint
        return self._hints[value]

    def suggest(self, names: Mapping[Value, str]) -> None:
        """Names for values that must be assigned, where the source has none."""
        self._wanted.update({value: self._hints.get(value) or name for value, name in names.items()})

    def count(self, value: Value, uses: int) -> None:
        """Set how often a value is used."""
        self._uses[value] = uses

    def prepare(self, region: Region, results: Iterable[Value] | None = None) -> None:
        """Count how often each value of a region is used in it; `results` are those of its outputs that matter."""
        found = Counter(tuple(region.results or region.outputs) if results is None else tuple(results))
        found.update(value for _, value in region.updates)
        for item in region.items:
            given = item.operands if isinstance(item, Node) else item.inputs
            operands = [self.weights.get(v, v) for v in given]
            found.update(operands)
            self._users.update(dict.fromkeys(operands, item))
            last = item.regions[-1] if isinstance(item, Chain) else item
            inner = last.level if isinstance(last, Region) else None
            self._hints.update((v, hint_at(v, region.level, inner)) for v in item.outputs)
        self._uses.update(found)

    def operand(self, value: Value) -> Held:
        """How to write a value where it is used; a scalar constant as a number."""
        value = self.weights.get(value, value)
        held = self.values.get(value)
        if held is not None:
            return held
        if isinstance(value.op, Param | State):
            return Held(self.weight(value))
        if isinstance(value.op, Full) and not value.op.shape:
            number = value.op.value
            return Held(replace(self.size(number), number=number) if isinstance(number, Dim) else literal(number))
        if is_constant(value):
            return self._constant(value)
        return Held(self.leaf(value))

    def tensor(self, value: Value) -> Held:
        """How to write a value where it must be a tensor."""
        held = self.operand(value)
        return held if held.code.number is None else self._constant(value)

    def hold(self, name: str, value: Value) -> Held:
        """Make a variable stand for a value."""
        self.variables.hold(name, value, self.uses(value))
        self.values[value] = Held(Code(name), ((name, value),))
        return self.values[value]

    def want(self, value: Value) -> str:
        """What to call a value: its own name, that of the value into which alone it flows, or a free variable."""
        seen: list[Value] = []
        found: str | None = None
        while value not in self._wanted:
            seen.append(value)
            found = self.hint(value) or self.targets.get(value)
            user = self._users.get(value)
            if found or user is None or self.uses(value) != 1 or len(user.outputs) != 1:
                break
            value = next(iter(user.outputs))
        found = found or self._wanted.get(value)
        self._wanted.update(dict.fromkeys(seen, found))
        return found or "y"

    # What rules ask for.

    def size(self, size: Size) -> Code:
        """A size: read off the inputs, computed from them, or passed by the caller."""
        found = self._sizes.code(size) or self._local_sizes.get(size)
        if found is not None:
            return found
        if size not in self.missing:
            self.missing[size] = self.names.fresh(identifier(str(size), "size"))
        return Code(self.missing[size])

    def shape(self, shape: tuple[Size, ...]) -> Code:
        """A shape as a tuple: that of a tensor at hand where it has a size that only the run knows."""
        if len(shape) > 1 and any(isinstance(size, Dim) for size in shape):
            for name, value in self.variables.holders.items():
                if value is not None and value.shape == shape:
                    self._mention(name, value)
                    return Code(f"{name}.shape")
        return Code(sequence(self.size(size) for size in shape))

    def precise_input(self) -> str | None:
        """An input of the whole program whose dtype is the run's precision, as its variable is at the start."""
        for name, value in zip(self.parameters, self.region.inputs, strict=True):
            if value.dtype is DType.FLOAT:
                return name
        return None

    def anchor(self, floating: bool = True) -> str:
        """A tensor whose dtype is the run's precision; any tensor where its device alone matters."""
        for name, value in self.variables.holders.items():
            if value is not None and (value.dtype is DType.FLOAT or not floating):
                self._mention(name, value)
                return name
        for weight in self.region.weights:
            if weight.dtype is DType.FLOAT or not floating:
                return self.weight(weight).text
        for name, value in self.variables.holders.items():
            if value is not None and value.dtype is DType.COMPLEX:
                self._mention(name, value)
                return f"{name}.real"
        if None not in self.missing:
            self.missing[None] = self.names.fresh("like")
        return self.missing[None]

    # How it is done.

    def _parameter(self, value: Value) -> str:
        label = value.op.label if isinstance(value.op, Input) else "key" if isinstance(value.op, RunKey) else "x"
        weight = path_of(value).rpartition(".")[2] if isinstance(value.op, Param | State) else None
        name = self.variables.pick(self.region.names.get(value) or value.hint or weight or label)
        self.hold(name, value)
        return name

    def _named(self, value: Value) -> str:
        """A variable for a value that is assigned now."""
        if not self.uses(value):
            return "_"
        target = self.targets.get(value)
        name = (
            target
            if target is not None and self.variables.accepts(target)
            else self.variables.pick(self.want(value), reserved=True)
        )
        self.hold(name, value)
        return name

    def _constant(self, value: Value) -> Held:
        """A constant, made where it is used."""
        before = len(self._also)
        if isinstance(value.op, Constant):
            return Held(self.leaf(value), self._taken(before))
        made = self.rules[value.op.name](Call(value.op, (), (), (value.type,), self))
        code = made if isinstance(made, Code) else Code(made or "")
        return Held(code, self._taken(before), 0 if code.text.isidentifier() else 1)

    def _mention(self, name: str, value: Value) -> None:
        """The expression being made uses a variable once more than was counted."""
        self.variables.left[value] += 1
        self._also.append((name, value))

    def _taken(self, start: int) -> tuple[tuple[str, Value], ...]:
        """What has been mentioned since there were `start` of these; from now on it is another's to release."""
        found = tuple(self._also[start:])
        del self._also[start:]
        return found


def hint_at(value: Value, level: int, inner: int | None) -> str | None:
    """The name that code at `level`, or inlined there, gives a value that comes out of code at level `inner`."""
    depth = value.node.place.depth if value.node.place is not None else 0
    least = 0 if inner is None else depth - inner + 1
    return value.hint_between(max(least, 0), max(depth - level, 0))
