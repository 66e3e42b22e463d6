"""Writes the body of one function: statements, names, sizes, and comments that say where each came from.

A value that is used once and has no name of its own is not assigned: its expression stands where it is used,
as long as the line stays short. A name is taken again once what it stood for is no longer needed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace

from architrave.backends.base import Call, Rules
from architrave.backends.code import ATOM, Code, subscript
from architrave.backends.docstrings import basename
from architrave.backends.expansion import expanded
from architrave.backends.hierarchy import Chain, Region, bodies_of, is_constant
from architrave.backends.names import Names
from architrave.backends.scope import FunctionScope, Held
from architrave.backends.selection import index, selection
from architrave.backends.sizes import Sizes
from architrave.ir.dims import Dim
from architrave.ir.graph import Node, Value
from architrave.ir.nested import leaves
from architrave.ir.ops.control import Choice
from architrave.ir.ops.leaves import Param, State
from architrave.ir.source import ArchitraveError, Span, error

WIDTH = 88
"""An expression longer than this is taken apart, where it has parts."""
PARTS = 3
"""An expression of more calls than this is taken apart; two infix operators count as one."""


class Writer(FunctionScope):
    """The body of one function of a program."""

    def __init__(self, region: Region, rules: Rules, names: Names) -> None:
        super().__init__(region, rules, names)
        self.lines: list[str] = []
        self.indent = ""
        self._written: set[Node] = set()
        """Nodes that were written together with one before them."""

    # What each backend says in its own way.

    @abstractmethod
    def application(self, region: Region, arguments: tuple[Code, ...]) -> Code:
        """The call of what was defined for a region."""

    @abstractmethod
    def chain(self, chain: Chain) -> None:
        """Write the application of a chain."""

    @abstractmethod
    def control(self, node: Node, bodies: tuple[Region, ...]) -> None:
        """Write a control-flow operator."""

    # Statements.

    def write(self, text: str, span: Span | None = None) -> None:
        """One statement, with the line of the source that it came from."""
        self.lines.append(f"{self.indent}{text}{_comment(span)}")
        self.variables.release(self._taken(0))

    @contextmanager
    def indented(self) -> Generator[None]:
        before, sizes = self.indent, dict(self._local_sizes)
        self.indent = before + "    "
        yield
        # What a branch or a loop has read off shapes may never have been.
        self.indent, self._local_sizes = before, sizes

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
        if node in self._written:
            return
        composite = node.op.is_composite()
        if node.op.name not in self.rules and composite:
            self._expand(node)
            return
        rule = self.rules[node.op.name]
        types = tuple(v.type for v in node.operands)
        for op in (node.op, *(v.op for v in node.operands if is_constant(v))):
            for name in op.attributes:
                self.require(leaves(getattr(op, name)), node.operands)
        whole = selection(node, self._users.get(node.outputs[0])) if self.uses(node.outputs[0]) == 1 else None
        if whole is not None:
            self._written.add(whole)
            where = index(node, self.size)
            self.results(whole.outputs, self.composed(node.operands, lambda x: subscript(x[0], where), whole.span))
            return

        def make(codes: tuple[Code, ...]) -> Code | str | None:
            try:
                return rule(Call(node.op, codes, types, node.types, self))
            except ArchitraveError as problem:
                raise _located(problem, node) from None

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
            self.assign((operands[split],), helds[split])

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

    def _split(self, code: Code, helds: Sequence[Held], parts: float) -> int | None:
        """Which operand needs a variable: one that stands in the text twice, or the largest of a long expression."""
        big = [i for i, h in enumerate(helds) if h.parts]
        if not big:
            return None
        if len(code.text) > WIDTH - len(self.indent) or parts > PARTS:
            return max(big, key=lambda i: helds[i].parts)
        return next((i for i in big if code.text.count(helds[i].code.text) > 1), None)

    def _expand(self, node: Node) -> None:
        whole = expanded(node)
        inside: Counter[Value] = Counter(v for n in whole.nodes for v in n.operands)
        before = Counter(node.operands)
        for old, new in zip(node.outputs, whole.outputs, strict=True):
            inside[new] += self.uses(old)
        # An operand may be a result as it is: then the uses of both count together, lest it be free in between.
        for operand, count in before.items():
            if inside[operand] != count:
                self._use_anew(operand, inside[operand] - count)
        for old, new in zip(node.outputs, whole.outputs, strict=True):
            if old in self.targets:
                self.targets[new] = self.targets[old]
            if old in self._users:
                self._users[new] = self._users[old]
        self._uses.update((v, count) for v, count in inside.items() if v not in before)
        for n in whole.nodes:
            self._users.update((v, n) for v in n.operands if v not in before)
        for part in whole.nodes:
            self.node(part)
        made = {v for n in whole.nodes for v in n.outputs}
        for old, new in zip(node.outputs, whole.outputs, strict=True):
            if new in made and (not self.uses(old) or self._users.get(new) in self._written):
                continue  # nothing reads it, or it is written together with what selects from it
            self.values[old] = self.operand(new)

    def _use_anew(self, value: Value, more: int) -> None:
        """A value is used so many times more than was counted."""
        held = self.bind(value)
        for _, variable in held.mentions:
            self.variables.left[variable] += more
        if more < 0:
            self.variables.left.subtract(dict.fromkeys((v for _, v in held.mentions), -1))
            self.variables.release(held.mentions)


def _comment(span: Span | None) -> str:
    if span is None:
        return ""
    return f"  # {basename(span.source.name)}:{span.line}"


def _located(problem: ArchitraveError, node: Node) -> ArchitraveError:
    trail = node.place.trail() if node.place is not None else ()
    return ArchitraveError([replace(d, span=d.span or node.span, trail=d.trail or trail) for d in problem.diagnostics])


def _undecided(node: Node, path: str) -> ArchitraveError:
    what = f"the choice `{path}` is still open, and a program has no place for what is not decided"
    hint = "decide it before compiling, for example with `--set`"
    return _located(error("E404", what, hint=hint), node)
