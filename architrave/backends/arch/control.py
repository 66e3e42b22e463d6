"""Control flow as `.arch` statements: `if training`, `scan`, `while`, and the fns that other sub-graphs become."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from architrave.backends.arch.body import Body, Random, label
from architrave.backends.arch.expression import PIPE, Expression
from architrave.backends.arch.paths import stage
from architrave.backends.arch.scope import is_weight, surplus
from architrave.backends.arch.statements import PARTS, mentioned, mentions
from architrave.backends.code import Code
from architrave.backends.hierarchy import Region, is_constant
from architrave.backends.names import Names
from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first
from architrave.ir.notation import KEYWORDS, identifier, tuple_text
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Fact

if TYPE_CHECKING:
    from architrave.backends.arch.program import Program


class ControlBody(Body):
    """A body that knows control flow."""

    def control(self, node: Node, region: Region) -> None:
        bodies = region.bodies[node]
        facts = surplus(node.facts, self.around)
        match node.op:
            case Mode():
                self._mode(node, *bodies)
            case Scan() as op:
                self._scan(node, op, *bodies)
            case While() as op:
                self._while(node, op, *bodies)
            case Choice() as op:
                self.results(node.outputs, self._choice(node, op, bodies, facts))
            case CustomGrad() as op:
                sizes = self.program.symbols((op.forward, op.backward))
                name = self._function(bodies, (op.forward, op.backward), op.label, sizes, facts)
                reads, given = self._given(node.operands, sizes)
                self.results(node.outputs, Expression(Code(f"{name}({', '.join(given)})"), reads, 1, facts=facts))
            case op:
                raise AssertionError(f"{op.name} has no form in text")

    # if training { ... }

    def _mode(self, node: Node, training: Region, inference: Region) -> None:
        outer = self._enter(node)
        captures = [self._captured(v) for v in node.operands]
        states = self._states(node, training, inference)
        names = [self._result(v, node.operands) for i, v in enumerate(node.outputs) if i not in states]
        drawn = self.drawn
        counts: list[int] = []
        sides: list[list[str]] = []
        for body in (training, inference):
            before, self.lines, self.drawn = self.lines, [], drawn
            self.indent += "    "
            with self.inside(names):
                self.begin(body)
                self._let(list(body.inputs), captures)
                given = dict(enumerate(body.results))
                named = [v for i, v in given.items() if i not in states]
                self.targets.update(zip(named, names, strict=True) if len(names) == 1 else ())
                self.items(body)
                self._leave(node, named, names, {s: given[i] for i, s in states.items()})
            self.indent = self.indent[:-4]
            sides.append(self.lines)
            counts.append(self.drawn)
            self.lines = before
        self.drawn = max(counts)
        self._branches(*sides)
        self.around = outer
        for expression in captures:
            self.release(expression.reads)
        named = [v for i, v in enumerate(node.outputs) if i not in states]
        for name, value in zip(names, named, strict=True):
            self.hold(name, value)

    def _branches(self, training: list[str], inference: list[str]) -> None:
        if not training:
            self.lines += [f"{self.indent}if not training {{", *inference, f"{self.indent}}}"]
            return
        otherwise = [f"{self.indent}}} else {{", *inference] if inference else []
        self.lines += [f"{self.indent}if training {{", *training, *otherwise, f"{self.indent}}}"]

    def _states(self, node: Node, training: Region, inference: Region) -> dict[int, Value]:
        """The outputs that are new values of states and can be set inside: the last ones, read by nothing else."""
        new = {value: state for state, value in self.region.updates}
        found: dict[int, Value] = {}
        for i in reversed(range(len(node.outputs))):
            state = new.get(node.outputs[i])
            if state is None or self.uses(node.outputs[i]) != 1 or self.uses(state) != 1:
                break
            inside = {v for v, outer in zip(inference.inputs, node.operands, strict=True) if outer is state}
            if inference.results[i] not in inside or training.results[i] in inside:
                break
            found[i] = state
        self.done.update(node.outputs[i] for i in found)
        return dict(sorted(found.items()))

    def _result(self, value: Value, dying: Sequence[Value]) -> str:
        """A variable for a result: one that is needed by the node alone, or a new one."""
        wanted = self.hint(value)
        if wanted in self.held:
            holder = self.held[wanted]
            if holder is not None and self.left[holder] == 1 == Counter(dying)[holder]:
                return self.reserved(wanted)
        return self.reserved(self.pick(value))

    def _leave(self, node: Node, values: Sequence[Value], names: Sequence[str], states: dict[Value, Value]) -> None:
        """Give the results of a side their variables, and the states their new values."""
        self.settle(list(zip(names, [self.expression(v) for v in values], strict=True)), ordered=True)
        for value in values:
            self.release(self.expression(value).reads)
        pending = [(self.expression(state).text, value) for state, value in states.items()]
        for i, (name, value) in enumerate(pending):
            for _, later in pending[i + 1 :]:
                if mentions(self.expression(later), name):
                    self.bind(later)
            new = self.expression(value)
            if new.text != name:
                self.write(f"{name} := {new.text}", new.facts)
            self.release(new.reads)

    # scan ... { ... }

    def _scan(self, node: Node, op: Scan, body: Region) -> None:
        outer = self._enter(node)
        first = node.operands[: op.carries]
        sequences = node.operands[op.carries : op.carries + op.sequences]
        captured = node.operands[op.carries + op.sequences :]
        inputs = list(body.inputs)
        own = len(inputs) - len(captured)
        steps = 0 if op.sequences else 1
        carried = inputs[steps : steps + op.carries]
        elements = [*inputs[:steps], *inputs[steps + op.carries : own]]
        captures = [self._captured(v) for v in captured]
        starts = [self.expression(v) for v in (*first, *sequences)]
        for expression in starts:
            self.release(expression.reads)
        emitted = node.outputs[op.carries :]
        names = [self.reserved(self.pick(v)) for v in node.outputs[: op.carries]]
        lists = [self.reserved(self.variable(self.hint(v) or "v")) for v in emitted]
        overs = [self.reserved(self.variable((op.sequences and v.hint) or "step")) for v in elements]
        runs = [e.text for e in starts[op.carries :]] or [f"0..{self._bound(op)}"]
        head = [f"{e} in {s}" for e, s in zip(overs, runs, strict=True)]
        head += [f"axis = {op.axis}"] * bool(op.sequences) + ["reverse = true"] * op.reverse
        carry = ", ".join(f"{n} = {e.text}" for n, e in zip(names, starts, strict=False))
        head += [f"carry ({carry})"] * bool(carry)
        self.write(f"scan {', '.join(head)} {{")
        self.indent += "    "
        with self.inside(names):
            self.begin(body)
            self._let(inputs[own:], captures)
            for name, value in (*zip(names, carried, strict=True), *zip(overs, elements, strict=True)):
                self.hold(name, value)
            self._turn(body, names, lists)
        self.indent = self.indent[:-4]
        self.write("}")
        self.around = outer
        for expression in captures:
            self.release(expression.reads)
        self.held.update(dict.fromkeys(overs))
        for name, value in zip((*names, *lists), node.outputs, strict=True):
            self.hold(name, value)

    def _bound(self, op: Scan) -> str:
        text = self.size(op.length)
        return text if text.isalnum() else f"({text})"

    def _turn(self, body: Region, names: Sequence[str], lists: Sequence[str] = ()) -> None:
        """One turn of a loop: the next values of what is carried, and what is emitted."""
        next_, emits = body.results[: len(names)], body.results[len(names) :]
        self.targets.update(zip(next_, names, strict=True))
        self.items(body)
        twice = {v for v, n in Counter(next_).items() if n > 1}
        for value in twice:
            self.bind(value)
        early = next((i for i in reversed(range(len(emits))) if emits[i] not in next_ or emits[i] in twice), -1) + 1
        for name, value in zip(lists[:early], emits, strict=False):
            self._emit(name, value)
        self.settle([(n, self.expression(v)) for n, v in zip(names, next_, strict=True)])
        for name, value in zip(names, next_, strict=True):
            if value not in twice:
                self.values[value] = Expression(Code(name))
        for name, value in zip(lists[early:], emits[early:], strict=True):
            self._emit(name, value)

    def _emit(self, name: str, value: Value) -> None:
        expression = self.expression(value)
        if expression.parts and self.uses(value) > 1:
            expression = self.bind(value)
        self.write(f"emit {expression.text} as {name}", expression.facts)

    # while ... { ... }

    def _while(self, node: Node, op: While, condition: Region, body: Region) -> None:
        outer = self._enter(node)
        captured = node.operands[op.carries :]
        captures = [self._captured(v) for v in captured]
        starts = [self.expression(v) for v in node.operands[: op.carries]]
        for expression in starts:
            self.release(expression.reads)
        names = [self.reserved(self.pick(v)) for v in node.outputs]
        given = [*(Expression(Code(name)) for name in names), *captures]
        test = self._condition(op.condition, condition, [e.text for e in given])
        carry = ", ".join(f"{n} = {e.text}" for n, e in zip(names, starts, strict=True))
        self.write(f"while {test}, carry ({carry}), max = {op.limit} {{")
        self.indent += "    "
        with self.inside(names):
            self.begin(body)
            inputs = list(body.inputs)
            self._let(inputs[op.carries :], captures)
            for name, value in zip(names, inputs, strict=False):
                self.hold(name, value)
            self._turn(body, names)
        self.indent = self.indent[:-4]
        self.write("}")
        self.around = outer
        for expression in captures:
            self.release(expression.reads)
        for name, value in zip(names, node.outputs, strict=True):
            self.hold(name, value)

    def _condition(self, graph: Graph, region: Region, given: Sequence[str]) -> str:
        """The condition as an expression, or, where it is too long for one, as the call of a fn."""
        before, self.lines = self.lines, []
        self.most = 3 * PARTS
        with self.inside():
            self.begin(region)
            self.values.update((v, Expression(Code(t))) for v, t in zip(region.inputs, given, strict=True))
            self.items(region)
            test = self.expression(region.results[0])
        written, self.lines, self.most = self.lines, before, PARTS
        if not written:
            return test.text
        used = self._used((region,), (graph,))
        sizes = self.program.symbols((graph,))
        name = self._function((region,), (graph,), "condition", sizes, used=used)
        return f"{name}({', '.join([*(given[i] for i in used), *self._sizes_given(sizes)])})"

    # What they share.

    def _enter(self, node: Node) -> tuple[Fact, ...]:
        """Write the annotations of a statement; they hold inside of it as well."""
        facts = surplus(node.facts, self.around)
        self.annotate(facts)
        before = self.around
        self.around = (*before, *facts)
        return before

    def _captured(self, value: Value) -> Expression:
        """What a sub-graph uses from outside stands in a variable; constants are made anew."""
        if is_weight(value) or isinstance(value.op, RunKey):
            return self.expression(value)
        if is_constant(value):
            return self.expression(value)
        return self.bind(value)

    def _let(self, inputs: Sequence[Value], captures: Sequence[Expression]) -> None:
        """Let the inputs of a sub-graph be what they are captured from; a variable that dies with it may be set."""
        for value, expression in zip(inputs, captures, strict=True):
            name = expression.text
            if name in self.held:
                self.hold(name, value)
            else:
                self.values[value] = Expression(expression.code, parts=expression.parts)

    def _choice(self, node: Node, op: Choice, bodies: Sequence[Region], facts: tuple[Fact, ...]) -> Expression:
        if not op.path.startswith(f"{self.region.path}."):
            self.program.only_here(self.region)
        used = self._used(bodies, op.alternatives)
        each = zip(op.labels, bodies, op.alternatives, strict=True)
        sizes = self.program.symbols(op.alternatives)
        listed = [f"{n}: {self._function((body,), (graph,), n, sizes, facts, used)}" for n, body, graph in each]
        reads, given = self._given([node.operands[i] for i in used], sizes)
        path = stage(self.region.relative(op.path))
        whole = f"{tuple_text(given, always=True)} -> choice {path} {{ {', '.join(listed)} }}"
        return Expression(Code(whole, PIPE), reads, 1, facts=facts)

    def _function(
        self,
        bodies: Sequence[Region],
        graphs: Sequence[Graph],
        label: str,
        symbols: Sequence[str],
        facts: tuple[Fact, ...] = (),
        used: Sequence[int] | None = None,
    ) -> str:
        if any(isinstance(n.op, Random) for g in graphs for part in innermost_first(g) for n in part.nodes):
            self.program.only_here(self.region)
        return self.program.function(bodies, graphs, label, symbols, (*self.around, *facts), self.names, used)

    def _used(self, bodies: Sequence[Region], graphs: Sequence[Graph]) -> list[int]:
        """Which operands the alternatives of a choice use, as their texts first name them."""
        found: dict[int, None] = {}
        for body, graph in zip(bodies, graphs, strict=True):
            draft = ControlBody(body, self.program, self.program.symbols((graph,)))
            text = "\n".join(draft.statements())
            first = {i: mention.start() for i, n in enumerate(draft.parameters) if (mention := mentioned(text, n))}
            found.update(dict.fromkeys(sorted(first, key=first.__getitem__)))
        return list(found)

    def _given(self, operands: Sequence[Value], symbols: Sequence[str]) -> tuple[tuple[Value, ...], list[str]]:
        """The arguments of a fn: all operands, and the sizes that its text names; with what they read."""
        for value in operands:
            self._argument(value)
        given = [self.expression(v) for v in operands]
        return tuple(v for e in given for v in e.reads), [*(e.text for e in given), *self._sizes_given(symbols)]

    def _argument(self, value: Value) -> Expression:
        expression = self.expression(value)
        return self.bind(value) if expression.is_pipe or len(expression.text) > 30 else expression

    def _sizes_given(self, symbols: Sequence[str]) -> list[str]:
        return [self.size(symbol(name)) for name in symbols]


def function(
    bodies: Sequence[Region],
    program: Program,
    symbols: Sequence[str],
    facts: tuple[Fact, ...],
    used: Sequence[int] | None = None,
) -> list[str]:
    """The parameters and the body of a fn, and of its gradient, where there is a second sub-graph.

    `used` are the inputs that it takes, in order, if not all.
    """
    inputs = list(bodies[0].inputs) if used is None else [list(bodies[0].inputs)[i] for i in used]
    names = Names((*KEYWORDS, *program.taken, *symbols))
    called = {v: names.fresh(_base(label(v))) for v in inputs}
    forward = ControlBody(bodies[0], program, symbols, called)
    forward.around = facts
    lines = [f"({', '.join([*called.values(), *symbols])}) {{", *forward.statements()]
    for body in bodies[1:]:
        own = dict(zip(body.inputs, called.values(), strict=False))
        gradients = {v: names.fresh("g") for v in list(body.inputs)[len(own) :]}
        backward = ControlBody(body, program, symbols, {**own, **gradients})
        backward.around = facts
        lines += [f"}} grad ({', '.join(gradients.values())}) {{", *backward.statements()]
    return lines


def _base(label: str) -> str:
    """A name without the number that tells it from another: a fn has names of its own."""
    return re.sub(r"_\d+$", "", identifier(label)) or "x"
