"""Writes the body of one function: statements, names, sizes, and comments that say where each came from.

A value that is used once and has no name of its own is not assigned: its expression stands where it is used,
as long as the line stays short. A name is taken again once what it stood for is no longer needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from architrave.backends.base import Call, Rules
from architrave.backends.code import ATOM, Code, literal, sequence
from architrave.backends.docstrings import basename
from architrave.backends.expansion import expanded
from architrave.backends.hierarchy import Chain, Item, Region, bodies_of, is_constant, path_of
from architrave.backends.names import Names, identifier
from architrave.backends.sizes import Sizes
from architrave.backends.variables import Variables
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Node, Value
from architrave.ir.nested import leaves
from architrave.ir.ops.control import Choice
from architrave.ir.ops.leaves import Constant, Full, Input, Param, State
from architrave.ir.ops.random import RunKey
from architrave.ir.source import ArchitraveError, Diagnostic, Span
from architrave.ir.types import DType

WIDTH = 88
"""An expression longer than this is taken apart, where it has parts."""
PARTS = 3
"""An expression of more calls than this is taken apart; two infix operators count as one."""


@dataclass(frozen=True, slots=True)
class Held:
    """How a value is written where it is used."""

    code: Code
    mentions: tuple[tuple[str, Value], ...] = ()
    """The variables in it, one for each use."""
    parts: float = 0
    """How many calls it is made of; an infix operator counts half."""
    span: Span | None = None


class Writer(ABC):
    """The body of one function of a program. Serves the rules as their `Scope`."""

    def __init__(self, region: Region, rules: Rules, names: Names) -> None:
        self.region = region
        self.rules = rules
        self.names = names
        self.variables = Variables(names)
        self.lines: list[str] = []
        self.indent = ""
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
    def application(self, region: Region, arguments: tuple[Code, ...]) -> Code:
        """The call of what was defined for a region."""

    @abstractmethod
    def chain(self, chain: Chain) -> None:
        """Write the application of a chain."""

    @abstractmethod
    def control(self, node: Node, bodies: tuple[Region, ...]) -> None:
        """Write a control-flow operator."""

    @abstractmethod
    def leaf(self, value: Value) -> Code:
        """A leaf that is neither an input, a weight nor one number: a stored array, or the run's key."""

    def path(self, path: str) -> Code:
        """A place in the network; a backend that writes equal blocks once may write it relative to the block's."""
        return literal(path)

    # Statements.

    def write(self, text: str, span: Span | None = None) -> None:
        """One statement, with the line of the source that it came from."""
        self.lines.append(f"{self.indent}{text}{_comment(span)}")
        self.variables.release(self._taken(0))

    @contextmanager
    def indented(self) -> Iterator[None]:
        before = self.indent
        self.indent = before + "    "
        yield
        self.indent = before

    def prologue(self) -> list[str]:
        """The lines at the start of the function that read sizes off its inputs."""
        return self._sizes.lines("\n".join(self.lines))

    def body(self, region: Region) -> None:
        """Write the items of a region, once it is prepared, in this function."""
        for item in region.items:
            match item:
                case Chain():
                    self.chain(item)
                case Region():
                    self.apply(item)
                case Node(op=Choice(path=path)):
                    raise _undecided(item, path)
                case Node() if bodies_of(item.op):
                    self.control(item, region.bodies[item])
                case Node():
                    self.node(item)

    def node(self, node: Node) -> None:
        """Write a node; a composite without a rule as what it is made of."""
        composite = node.op.is_composite()
        if node.op.name not in self.rules and composite:
            self._expand(node)
            return
        rule = self.rules[node.op.name]
        types = tuple(v.type for v in node.operands)
        for op in (node.op, *(v.op for v in node.operands if is_constant(v))):
            for name in op.attributes:
                self.require(leaves(getattr(op, name)), node.operands)

        def make(codes: tuple[Code, ...]) -> Code | str | None:
            return rule(Call(node.op, codes, types, node.types, self))

        held = self.compose(node.operands, make, node.span, self.rules.takes_scalars(node.op))
        if held is not None:
            self.results(node.outputs, held)
        elif composite:
            self._expand(node)
        else:
            raise AssertionError(f"the rule of the primitive {node.op.name} declined")

    def apply(self, region: Region) -> None:
        """Write the application of a region."""
        span = region.place.span if region.place is not None else None
        inputs = tuple(region.inputs)
        held = self.composed(inputs, lambda codes: self.application(region, codes), span)
        self.results(tuple(region.outputs), held)

    def compose(
        self,
        operands: Sequence[Value],
        make: Callable[[tuple[Code, ...]], Code | str | None],
        span: Span | None = None,
        scalars: bool = False,
    ) -> Held | None:
        """An expression over operands, whose own expressions become statements where it would get long.

        None where `make` gives None.
        """
        while True:
            helds = [self.operand(v) if scalars else self.tensor(v) for v in operands]
            before = len(self._also)
            made = make(tuple(h.code for h in helds))
            also = self._taken(before)
            if made is None:
                self.variables.release(also)
                return None
            code = made if isinstance(made, Code) else Code(made)
            parts = (1 if code.level == ATOM else 0.5) + sum(h.parts for h in helds)
            split = self._split(code, helds, parts)
            if split is None:
                return Held(code, (*(m for h in helds for m in h.mentions), *also), parts, span)
            self.variables.release(also)
            self.bind(operands[split])

    def composed(
        self, operands: Sequence[Value], make: Callable[[tuple[Code, ...]], Code], span: Span | None = None
    ) -> Held:
        """The same, where `make` always gives an expression; numbers are made tensors."""
        held = self.compose(operands, make, span)
        if held is None:
            raise AssertionError("an expression was expected")
        return held

    def results(self, outputs: Sequence[Value], held: Held) -> None:
        """Keep an expression for its one use, or assign it: where it is used often, has a name, or is several."""
        (only, *others) = outputs
        is_named = only in self.targets or (self.hint(only) is not None and only not in self._returned)
        if others or self.uses(only) != 1 or is_named:
            self.assign(outputs, held)
        else:
            self.values[only] = held

    def assign(self, outputs: Sequence[Value], held: Held) -> None:
        """Write `names = expression`."""
        self.variables.release(held.mentions)
        names = [self._named(v) for v in outputs]
        self.write(f"{', '.join(names)} = {held.code}", held.span)

    def bind(self, value: Value) -> Held:
        """Give a value a variable, if it is an expression or a constant."""
        held = self.operand(value)
        if not held.parts:
            return held
        self.assign((value,), held)
        return self.values[value]

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
                    self.variables.protect(value)
                    return Code(f"{name}.shape")
        return Code(sequence(self.size(size) for size in shape))

    def require(self, attributes: Iterable[object], operands: Sequence[Value]) -> None:
        """See to it that sizes can be written: read off the operands what the function's inputs do not give."""
        for size in attributes:
            if not isinstance(size, Dim) or size in self._local_sizes or self._sizes.code(size) is not None:
                continue
            tensors = [v for v in operands if v.shape and not isinstance(v.op, Param | State) and not is_constant(v)]
            names = [self.bind(v).code.text for v in tensors]
            local = Sizes([(n, v.shape) for n, v in zip(names, tensors, strict=True)], self.names)
            code = local.code(size)
            if code is None:
                continue
            self._local_sizes[size] = code
            for line in local.lines():
                self.write(line)

    def anchor(self, floating: bool = True) -> str:
        """A tensor whose dtype is the run's precision; any tensor where its device alone matters."""
        for name, value in self.variables.holders.items():
            if value is not None and (value.dtype is DType.FLOAT or not floating):
                self.variables.left[value] += 1
                self._also.append((name, value))
                return name
        for weight in self.region.weights:
            if weight.dtype is DType.FLOAT or not floating:
                return self.weight(weight).text
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
            self._hints.update((v, _hint(v, region.level, inner)) for v in item.outputs)
        self._uses.update(found)

    def _split(self, code: Code, helds: Sequence[Held], parts: float) -> int | None:
        """Which operand needs a variable: one that stands in the text twice, or the largest of a long expression."""
        big = [i for i, h in enumerate(helds) if h.parts]
        if not big:
            return None
        if len(code.text) > WIDTH - len(self.indent) or parts > PARTS:
            return max(big, key=lambda i: helds[i].parts)
        return next((i for i in big if code.text.count(helds[i].code.text) > 1), None)

    def _taken(self, start: int) -> tuple[tuple[str, Value], ...]:
        """What has been mentioned since there were `start` of these; from now on it is another's to release."""
        found = tuple(self._also[start:])
        del self._also[start:]
        return found

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
        if isinstance(value.op, Constant):
            return Held(self.leaf(value))
        before = len(self._also)
        made = self.rules[value.op.name](Call(value.op, (), (), (value.type,), self))
        code = made if isinstance(made, Code) else Code(made or "")
        return Held(code, self._taken(before), 0 if code.text.isidentifier() else 1)

    def _expand(self, node: Node) -> None:
        whole = expanded(node)
        inside: Counter[Value] = Counter(v for n in whole.nodes for v in n.operands)
        before = Counter(node.operands)
        for operand, count in before.items():
            if inside[operand] != count:
                self._use_anew(operand, inside[operand] - count)
        for old, new in zip(node.outputs, whole.outputs, strict=True):
            inside[new] += self.uses(old)
            if old in self.targets:
                self.targets[new] = self.targets[old]
            if old in self._users:
                self._users[new] = self._users[old]
        self._uses.update((v, inside[v]) for n in whole.nodes for v in n.outputs)
        for n in whole.nodes:
            self._users.update((v, n) for v in n.operands if v not in before)
        for part in whole.nodes:
            self.node(part)
        made = {v for n in whole.nodes for v in n.outputs}
        for old, new in zip(node.outputs, whole.outputs, strict=True):
            if new not in made:
                self._use_anew(new, self.uses(old))
            self.values[old] = self.operand(new)

    def _use_anew(self, value: Value, more: int) -> None:
        """A value is used so many times more than was counted."""
        held = self.bind(value)
        for _, variable in held.mentions:
            self.variables.left[variable] += more
        if more < 0:
            self.variables.left.subtract(dict.fromkeys((v for _, v in held.mentions), -1))
            self.variables.release(held.mentions)


def _hint(value: Value, level: int, inner: int | None) -> str | None:
    """The name that code at `level`, or inlined there, gives a value that comes out of code at level `inner`."""
    depth = value.node.place.depth if value.node.place is not None else 0
    least = 0 if inner is None else depth - inner + 1
    return value.hint_between(max(least, 0), max(depth - level, 0))


def _comment(span: Span | None) -> str:
    if span is None:
        return ""
    return f"  # {basename(span.source.name)}:{span.line}"


def _undecided(node: Node, path: str) -> ArchitraveError:
    return ArchitraveError(
        [
            Diagnostic(
                "E404",
                f"the choice `{path}` is still open, and a program has no place for what is not decided",
                node.span,
                trail=node.place.trail() if node.place is not None else (),
                hint="decide it before compiling, for example with `--set`",
            )
        ]
    )
