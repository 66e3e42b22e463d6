"""Writes the body of one block: its weights, a statement for each item, and what it returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from architrave.backends.arch.paths import is_path, is_plain, stage
from architrave.backends.arch.scope import RUN_KEY, is_weight, surplus, weight_name
from architrave.backends.arch.statements import Statements, mentions
from architrave.backends.code import Code
from architrave.backends.hierarchy import Chain, Region, bodies_of, is_leaf
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.notation import identifier, initial_text, string, tuple_text
from architrave.ir.ops.leaves import Constant, Input, Param, State
from architrave.ir.ops.random import RandomBernoulli, RandomBits, RandomNormal, RandomUniform, RunKey

if TYPE_CHECKING:
    from architrave.backends.arch.program import Program

LARGE = 60
"""A constant whose text is longer gets a variable."""

Random = RandomBits | RandomUniform | RandomNormal | RandomBernoulli


class Body(Statements):
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
        self.around = program.facts(region)
        self.drawn = 0
        """How many random numbers the block has asked for."""
        self.lent = {region.relative(inner.path) for inner in region.regions()}
        """The names of instances; those whose random numbers are drawn here are added."""
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
        for value in results:
            # What is returned beside others, or after states are set, stands in a line of its own with its annotations.
            if region.updates or (len(results) > 1 and self.expression(value).facts):
                self.bind(value)
        self.finish(region)
        returned = [self.expression(v) for v in results]
        facts = returned[0].facts if len(returned) == 1 else ()
        self.write(f"return {tuple_text([e.text for e in returned])}", facts)
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
        raise NotImplementedError(f"{type(self).__name__} does not write control flow: define `control`")

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
        """Random numbers, which are named by their place: the next of this block, or the first of an instance."""
        facts = surplus(node.facts, self.around)
        around, _, last = self.region.relative(op.path).rpartition(".")
        if self.expression(node.operands[0]).text == RUN_KEY:
            probability = [str(op.p)] if isinstance(op, RandomBernoulli) else []
            call = f"random.{op.name.removeprefix('random_')}({', '.join([*probability, self.shape(op.shape)])})"
            if not around and last == f"random_{self.drawn}":
                self.drawn += 1
                self.assign(node.outputs, Expression(Code(call), facts=facts))
                return
            if around and last == "random_0" and is_path(around) and around not in self.lent:
                self.lent.add(around)
                self.assign(node.outputs, Expression(Code(f"() -> {stage(around)}: () => {call}"), facts=facts))
                return
        self.program.only_here(self.region)

        def make(given: Sequence[Expression]) -> Expression:
            return operator(node, given, form(node, (), self.size))

        self.assign(node.outputs, self.compose(node.operands, make, facts, pipes=False))

    # Blocks.

    def application(self, region: Region) -> Expression:
        """The application of what was defined for a region."""
        inputs = [v for v in region.inputs if not isinstance(v.op, RunKey)]
        text = self._stage(region)

        def make(given: Sequence[Expression]) -> Expression:
            whole = Code(f"{tuple_source(given)} -> {text}", PIPE)
            return Expression(whole, parts=sum(e.parts for e in given) + STAGE)

        facts = surplus(self.program.facts(region), self.around)
        return self.compose(inputs, make, facts, pipes=len(inputs) == 1)

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
        if wanted is not None or last in self.targets:
            return self.reserved(self.pick(last))
        reused = self.depth == 0 and self.is_free(given.text)
        return self.reserved(given.text if reused else self.variable("x"))


def label(value: Value) -> str:
    """What an input is called."""
    return value.op.label if isinstance(value.op, Input) else value.hint or "x"
