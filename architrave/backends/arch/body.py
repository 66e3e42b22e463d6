"""Writes the body of one block: its weights, a statement for each item, and what it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from architrave.backends.arch.expression import (
    PIPE,
    STAGE,
    Expression,
    indexed,
    operator,
    takes_pipe,
    tuple_source,
    weak,
)
from architrave.backends.arch.natural import form, subscripts
from architrave.backends.arch.paths import is_plain, stage
from architrave.backends.arch.scope import RUN_KEY, Scope, is_weight, surplus, weight_name
from architrave.backends.code import Code
from architrave.backends.hierarchy import Chain, Region, bodies_of, is_constant, is_leaf
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.notation import fact_lines, identifier, initial_text, string, tuple_text
from architrave.ir.ops.leaves import Constant, Input, Param, State
from architrave.ir.ops.random import RandomBernoulli, RandomBits, RandomNormal, RandomUniform, RunKey
from architrave.ir.place import Fact

if TYPE_CHECKING:
    from architrave.backends.arch.program import Program

LONGEST = 80
"""An expression longer than this is taken apart, where it has parts."""
PARTS = 3.2
"""An expression of more calls than this is taken apart."""
LARGE = 60
"""A constant whose text is longer gets a variable."""

Random = RandomBits | RandomUniform | RandomNormal | RandomBernoulli


class Body(Scope):
    """The body of one block, or, where `symbols` are given, of the model."""

    def __init__(
        self,
        region: Region,
        program: Program,
        symbols: Sequence[str] | None = None,
        names: Mapping[Value, str] | None = None,
    ) -> None:
        """`names` are those of inputs that have some already."""
        self.shared = program.shared(region)
        given = names or {}
        super().__init__(region, (*program.taken, *self.shared, *given.values()), symbols)
        self.program = program
        self.lines: list[str] = []
        self.indent = "    "
        self.around = program.facts(region)
        self.drawn = 0
        """How many random numbers the block has asked for."""
        self.most = PARTS
        self.done: set[Value] = set()
        """New states that are set inside an `if`."""
        inputs = [v for v in region.inputs if not isinstance(v.op, RunKey)]
        self.parameters = [given.get(v) or self._parameter(v) for v in inputs]
        self.types = [self.type(v.type) for v in inputs]
        for name, value in zip(self.parameters, inputs, strict=True):
            self.hold(name, value)

    def text(self) -> list[str]:
        """The inputs with their types, and the statements."""
        inputs = ", ".join(f"{name}: {type}" for name, type in zip(self.parameters, self.types, strict=True))
        return [f"({inputs}) {{", *self.statements()]

    def statements(self) -> list[str]:
        region = self.region
        self.begin(region)
        self._weights(region.weights)
        for path, shared in self.shared.items():
            self.write(f"{path} = {self.program.callee(shared, self, always=True)}")
        self.items(region)
        results = region.results or tuple(region.outputs)
        if region.updates:
            for value in results:
                self.bind(value)
        self.finish(region)
        returned = [self.expression(v) for v in results]
        only = returned[0] if len(returned) == 1 else None
        self.write(f"return {only.text if only else tuple_text([e.text for e in returned])}", _facts(returned))
        return self.lines

    def _parameter(self, value: Value) -> str:
        if is_weight(value):
            wanted = weight_name(value)
        else:
            wanted = self.program.inputs(self.region).get(value) or label(value)
        return self.names.fresh(identifier(wanted))

    # Weights.

    def _weights(self, weights: Iterable[Value]) -> None:
        for weight in weights:
            op = weight.op
            assert isinstance(op, Param | State)
            start = initial_text(op.initial) if not isinstance(op.initial, Graph) else self._initial(op.initial)
            path = self.region.relative(op.path)
            name = self.names.fresh(weight_name(weight))
            self.values[weight] = Expression(Code(name))
            shown = path if is_plain(path) and path == name else f"{string(path)} as {name}"
            facts = surplus(weight.node.facts, self.around)
            self.write(f"{op.name} {shown}: {self.type(op.type)} = {start}", facts)

    def _initial(self, graph: Graph) -> str:
        region = Region(None, "", results=graph.outputs)
        region.items = [n for n in graph.nodes if not is_leaf(n) and not isinstance(n.op, Input)]
        self.begin(region)
        self.items(region)
        start = self.expression(graph.outputs[0])
        self.release(start.reads)
        return start.text

    # Statements.

    def write(self, text: str, facts: tuple[Fact, ...] = ()) -> None:
        self.annotate(facts)
        self.lines.append(f"{self.indent}{text}")

    def annotate(self, facts: tuple[Fact, ...]) -> None:
        self.lines += [f"{self.indent}{line}" for line in fact_lines(facts)]

    def begin(self, region: Region) -> None:
        """Prepare a region, and give variables to the large constants in it."""
        self.prepare(region)
        operands = [v for item in region.items if isinstance(item, Node) for v in item.operands]
        found: dict[str, list[Value]] = {}
        for value in dict.fromkeys((*operands, *region.results)):
            if isinstance(value.op, Constant) and value not in self.values:
                found.setdefault(self.expression(value).text, []).append(value)
        for text in sorted(text for text in found if len(text) > LARGE):
            name = self.reserved(self.variable(found[text][0].hint or "table"))
            self.write(f"{name} = {text}")
            for value in found[text]:
                self.keep(value, name)

    def items(self, region: Region) -> None:
        """Write the items of a region that is prepared."""
        for item in region.items:
            match item:
                case Chain():
                    self.chain(item)
                case Region():
                    self.results(tuple(item.outputs), self.application(item))
                case Node() if bodies_of(item.op):
                    self.control(item, region)
                case Node():
                    self.node(item)

    def control(self, node: Node, region: Region) -> None:
        """Write a control-flow operator."""
        raise NotImplementedError

    def finish(self, region: Region) -> None:
        """Write the new states, each computed before the states in it are set."""
        left = [(state, value) for state, value in region.updates if value not in self.done]
        for i, (state, value) in enumerate(left):
            name = self.expression(state).text
            for _, later in left[i + 1 :]:
                if mentions(self.expression(later), name):
                    self.bind(later)
            new = self.expression(value)
            self.release(new.reads)
            self.write(f"{name} := {new.text}", new.facts)

    def node(self, node: Node) -> None:
        if isinstance(node.op, Random):
            self.draw(node, node.op)
            return
        numbers = weak(node)
        shown = self.program.shown(self.region, node.op)

        index = subscripts(node, self.size) if node.op.name == "slice" else None
        how = form(node, shown, self.size)

        def make(given: Sequence[Expression]) -> Expression:
            return operator(node, given, how) if index is None else indexed(given[0], index)

        def given(i: int) -> Expression:
            return self.number(node.operands[i]) if numbers[i] else self.expression(node.operands[i])

        facts = surplus(node.facts, self.around)
        self.results(node.outputs, self.compose(node.operands, make, facts, takes_pipe(node.op), given))

    def draw(self, node: Node, op: Random) -> None:
        """Random numbers: of the next place, if it is that, else of the one that is named."""
        facts = surplus(node.facts, self.around)
        path = self.region.relative(op.path)
        key = self.expression(node.operands[0])
        if path == f"random_{self.drawn}" and key.text == RUN_KEY:
            self.drawn += 1
            first = [] if not isinstance(op, RandomBernoulli) else [str(op.p)]
            shape = self.shape(op.shape)
            text = f"random.{op.name.removeprefix('random_')}({', '.join([*first, shape])})"
            self.assign(node.outputs, Expression(Code(text), facts=facts))
            return
        self.program.only_here(self.region)

        def make(given: Sequence[Expression]) -> Expression:
            return operator(node, given, form(node, (), self.size))

        self.assign(node.outputs, self.compose(node.operands, make, facts, pipes=False))

    # Blocks.

    def application(self, region: Region) -> Expression:
        """The application of what was defined for a region."""
        return self.applied(region, self._stage(region))

    def applied(self, region: Region, text: str, given: Callable[[int], Expression] | None = None) -> Expression:
        inputs = [v for v in region.inputs if not isinstance(v.op, RunKey)]

        def make(expressions: Sequence[Expression]) -> Expression:
            whole = Code(f"{tuple_source(expressions)} -> {text}", PIPE)
            return Expression(whole, parts=sum(e.parts for e in expressions) + STAGE)

        facts = surplus(self.program.facts(region), self.around)
        return self.compose(inputs, make, facts, len(inputs) == 1, given)

    def _stage(self, region: Region) -> str:
        path = self.region.relative(region.path)
        if path in self.shared:
            return path
        return f"{stage(path)}: {self.program.callee(region, self)}"

    def chain(self, chain: Chain) -> None:
        """A loop over the blocks of a list that are written alike; the others one by one."""
        shared = any(self.region.relative(r.path) in self.shared for r in chain.regions)

        def alike(region: Region) -> object:
            facts = self.program.facts(region)
            return region if shared else (self.program.callee(region, self), facts)

        first = chain.first
        for _, group in groupby(chain.regions, alike):
            run = list(group)
            if run[-1] is not chain.regions[-1]:
                self.flows_on(run[-1].outputs)
            if len(run) == 1:
                self.results(tuple(run[0].outputs), self.application(run[0]))
            else:
                self._loop(run, chain, first)
            first += len(run)

    def flows_on(self, values: Iterable[Value]) -> None:
        """Inside a chain each result is used once, by the next link."""
        for value in values:
            self._uses[value] = self.left[value] = 1

    def _loop(self, run: Sequence[Region], chain: Chain, first: int) -> None:
        """`for i in 0..3 { x = x -> layer[i]: Block(...) }`."""
        inputs = [v for v in run[0].inputs if not isinstance(v.op, RunKey)]
        fed = [list(run[0].inputs)[i] for i in chain.fed]
        kept = [self.bind(v) for v in inputs if v not in fed]
        facts = surplus(self.program.facts(run[0]), self.around)
        last = run[-1].outputs
        names = self.start(fed, tuple(last))
        index = self.variable("i")
        self.write(f"for {index} in {first}..{first + len(run)} {{")
        path = stage(self.region.relative(chain.path), index)
        given = [
            Expression(Code(names[fed.index(v)])) if v in fed else Expression(self.expression(v).code) for v in inputs
        ]
        self.indent += "    "
        whole = f"{tuple_source(given)} -> {path}: {self.program.callee(run[0], self)}"
        self.write(f"{tuple_text(names)} = {whole}", facts)
        self.indent = self.indent[:-4]
        self.write("}")
        for expression in kept:
            self.release(expression.reads)
        for name, value in zip(names, last, strict=True):
            self.hold(name, value)

    def start(self, first: Sequence[Value], last: Sequence[Value]) -> list[str]:
        """Variables that hold the first values of what becomes the last ones in a loop."""
        given = [self.expression(v) for v in first]
        for expression in given:
            self.release(expression.reads)
        names = [self._start(e, v) for e, v in zip(given, last, strict=True)]
        self.settle([(n, e) for n, e in zip(names, given, strict=True)])
        return names

    def _start(self, given: Expression, last: Value) -> str:
        """The variable of a loop: what the result is called, or the variable that goes in, if it is free."""
        wanted = self.hint(last)
        if wanted is None and given.text in self.held and self.is_free(given.text) and self.depth == 0:
            name = given.text
        else:
            name = self.pick(last) if wanted is not None else self.variable("x")
        return self.reserved(name)

    # Expressions.

    def compose(
        self,
        operands: Sequence[Value],
        make: Callable[[Sequence[Expression]], Expression],
        facts: tuple[Fact, ...],
        pipes: bool = True,
        given: Callable[[int], Expression] | None = None,
    ) -> Expression:
        """An expression over operands, whose own expressions become statements where it would get long.

        With `pipes` the first of them may be a pipe.
        """
        while True:
            parts = [given(i) if given is not None else self.expression(v) for i, v in enumerate(operands)]
            made = make(parts)
            split = self._split(made, parts, operands, facts, pipes)
            if split is None:
                reads = tuple(v for e in parts for v in e.reads)
                return Expression(made.code, reads, made.parts, made.source, facts)
            self.bind(operands[split])

    def _split(
        self,
        made: Expression,
        parts: Sequence[Expression],
        operands: Sequence[Value],
        facts: tuple[Fact, ...],
        pipes: bool,
    ) -> int | None:
        """Which operand needs a variable."""
        computed = [i for i, e in enumerate(parts) if e.parts and not is_constant(operands[i])]
        for i in computed:
            if parts[i].facts != facts or (parts[i].is_pipe and not (pipes and i == 0)):
                return i
        long = len(made.text) > LONGEST and not (made.is_pipe and parts[0].is_pipe)
        if computed and (long or made.parts > self.most):
            return max(computed, key=lambda i: parts[i].parts)
        return None

    def results(self, outputs: Sequence[Value], made: Expression) -> None:
        """Keep an expression for its one use, or assign it: where it is used often, has a name, or is several."""
        if len(outputs) != 1:
            self.assign(outputs, made)
            return
        (only,) = outputs
        deferred = only in self.targets and self.uses(only) == self.returned(only)
        once = self.uses(only) == 1 and (self.hint(only) is None or self.returned(only) == 1)
        if deferred or once:
            self.values[only] = made
        else:
            self.assign(outputs, made)

    def assign(self, outputs: Sequence[Value], made: Expression) -> None:
        """Write `names = expression`."""
        self.release(made.reads)
        names: list[str] = []
        for value in outputs:
            names.append(self.pick(value) if self.uses(value) or len(outputs) == 1 else "_")
            self.held[names[-1]] = value
        self.write(f"{tuple_text(names)} = {made.text}" if names else made.text, made.facts)
        for name, value in zip(names, outputs, strict=True):
            self.hold(name, value)

    def bind(self, value: Value) -> Expression:
        """Give a value a variable, if it is written as an expression."""
        expression = self.expression(value)
        if expression.parts:
            self.assign((value,), expression)
        return self.values.get(value, expression)

    def settle(self, targets: Sequence[tuple[str, Expression]], ordered: bool = False) -> None:
        """Give variables their values, all at once where one is needed for another.

        With `ordered` all of several are set, one that has its value already as well.
        """
        open_ = [(name, e) for name, e in targets if e.text != name]
        if ordered and len(targets) > 1 and len(open_) < len(targets):
            open_ = list(targets)
            self.write(f"{tuple_text([n for n, _ in open_])} = {tuple_text([e.text for _, e in open_])}")
            return
        if any(mentions(e, name) for i, (_, e) in enumerate(open_) for name, _ in open_[:i]):
            names = [name for name, _ in open_]
            self.write(f"{tuple_text(names)} = {tuple_text([e.text for _, e in open_])}")
            return
        for name, expression in open_:
            self.write(f"{name} = {expression.text}", expression.facts)


def mentions(expression: Expression, name: str) -> bool:
    """Whether a variable stands in an expression."""
    return mentioned(expression.text, name) is not None


def mentioned(text: str, name: str) -> re.Match[str] | None:
    """Where a variable first stands in a text."""
    return re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text)


def _facts(expressions: Sequence[Expression]) -> tuple[Fact, ...]:
    return expressions[0].facts if len(expressions) == 1 else ()


def label(value: Value) -> str:
    """What an input is called."""
    return value.op.label if isinstance(value.op, Input) else value.hint or "x"
