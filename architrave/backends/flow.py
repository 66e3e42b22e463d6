"""Control flow as Python statements: `if training`, and loops over steps."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence

from architrave.backends.base import Rules
from architrave.backends.code import NOT, Code
from architrave.backends.hierarchy import Region
from architrave.backends.names import Names
from architrave.backends.scope import Held
from architrave.backends.writer import Writer
from architrave.ir.dims import Size
from architrave.ir.graph import Node, Value
from architrave.ir.ops.control import CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import Span

Target = tuple[str, Held]
"""A variable and what it must become."""


class FlowWriter(Writer):
    """A writer for frameworks whose programs may branch and loop in Python."""

    training: str
    """The condition under which the training side of a mode is taken."""

    def __init__(self, region: Region, rules: Rules, names: Names) -> None:
        super().__init__(region, rules, names)
        self._done: set[Value] = set()
        """New states that a branch sets."""

    @abstractmethod
    def custom_gradient(self, node: Node, bodies: tuple[Region, ...]) -> None:
        """Write the use of a function with a gradient of its own."""

    @abstractmethod
    def unstacked(self, sequences: Sequence[Code], axis: int, reverse: bool) -> str:
        """What a `for` over the slices of tensors along an axis runs over."""

    @abstractmethod
    def counted(self, length: Size, reverse: bool) -> str:
        """What a `for` over a counter, an i64 scalar, runs over."""

    @abstractmethod
    def stacked(self, values: Code, axis: int, reverse: bool, like: Value) -> Code:
        """A list of tensors along a new axis; in a reversed loop the last stands first."""

    @abstractmethod
    def assignment(self, state: Value, code: Code) -> str:
        """The statement that gives a state a new value."""

    def control(self, node: Node, bodies: tuple[Region, ...]) -> None:
        match node.op:
            case Mode():
                self._mode(node, *bodies)
            case Scan() as scan:
                self._scan(node, scan, *bodies)
            case While() as loop:
                self._while(node, loop, *bodies)
            case CustomGrad():
                self.custom_gradient(node, bodies)
            case _:
                self.node(node)

    def finish(self, region: Region) -> None:
        """Write the new states that no branch has set."""
        for state, value in region.updates:
            if value not in self._done:
                held = self.operand(value)
                self.variables.release(held.mentions)
                self.write(self.assignment(state, held.code), held.span)

    # if training:

    def _mode(self, node: Node, training: Region, inference: Region) -> None:
        captures = [self.bind(v) for v in node.operands]
        self._learn_weights((training, inference))
        states = {i: s for i, v in enumerate(node.outputs) if (s := self._own_state(v)) is not None}
        names = [None if i in states else self._result(v, node.operands) for i, v in enumerate(node.outputs)]
        sides: list[list[str]] = []
        for body in (training, inference):
            before = self.lines
            self.lines = []
            with self.variables.branch(), self.indented():
                results = {i: v for i, v in enumerate(body.results) if self.uses(node.outputs[i])}
                self.prepare(body, results.values())
                self._enter(body, captures, node)
                self.targets.update({v: name for i, v in results.items() if (name := names[i]) is not None})
                self.suggest({results[i]: path_of(s).rpartition(".")[2] for i, s in states.items()})
                self.body(body)
                self._leave(results, names, states, node.span)
            sides.append(self.lines)
            self.lines = before
        self._branches(sides[0], sides[1], node.span)
        for held in captures:
            self.variables.release(held.mentions)
        for value, name in zip(node.outputs, names, strict=True):
            if name is not None:
                self.hold(name, value)

    def _branches(self, then: list[str], otherwise: list[str], span: Span | None) -> None:
        if then:
            self.write(f"if {self.training}:", span)
            self.lines += then
        if otherwise:
            self.write("else:" if then else f"if not {self.training}:")
            self.lines += otherwise

    def _leave(
        self, results: dict[int, Value], names: Sequence[str | None], states: dict[int, Value], span: Span | None
    ) -> None:
        """Give the results of a branch their variables, and the states their new values."""
        helds = {i: self.tensor(v) for i, v in results.items()}
        for i, state in states.items():
            code = helds[i].code
            if code.text != self.weight(state).text:
                self.write(self.assignment(state, code), helds[i].span or span)
                self.variables.release(helds[i].mentions)
        targets = [(name, held) for i, held in helds.items() if (name := names[i]) is not None]
        for _, held in targets:
            self.variables.release(held.mentions)
        self._settle(targets, span)

    def _own_state(self, value: Value) -> Value | None:
        """The state that a result of a mode is the new value of, where no one else reads the state or the result."""
        for state, new in self.region.updates:
            if new is value and self.uses(value) == self.uses(state) == 1 and state in self.region.weights:
                self._done.add(value)
                return state
        return None

    # for ...:

    def _scan(self, node: Node, scan: Scan, body: Region) -> None:
        first = list(node.operands[: scan.carries])
        sequences = node.operands[scan.carries : scan.carries + scan.sequences]
        captured = node.operands[scan.carries + scan.sequences :]
        self._learn_weights((body,))
        captures = [self.bind(v) for v in captured]
        slices = [self.bind(v) for v in sequences]
        inputs = list(body.inputs)
        over = inputs[scan.carries : scan.carries + scan.sequences] if scan.sequences else inputs[:1]
        carried = inputs[: scan.carries] if scan.sequences else inputs[1 : scan.carries + 1]
        names = self.start(first, node.outputs[: scan.carries], node.span, carried)
        lists = [self._list(v, node.span) for v in node.outputs[scan.carries :]]
        self.prepare(body)
        if scan.sequences:
            run = self.unstacked([h.code for h in slices], scan.axis, scan.reverse)
        else:
            for name, value in zip(names, carried, strict=True):
                self.hold(name, value)  # for the device of the counter
            run = self.counted(scan.length, scan.reverse)
        steps: list[str] = []
        for value in over:
            # One after the other, so that no two take the same free variable.
            steps.append(self.variables.pick(self.hint(value) or "step"))
            self.hold(steps[-1], value)
        self.write(f"for {', '.join(steps)} in {run}:", node.span)
        with self.indented():
            self._turn(body, names, carried, captures, lists, node.span)
        for held in (*captures, *slices):
            self.variables.release(held.mentions)
        for name, value in zip(names, node.outputs, strict=False):
            self.hold(name, value)
        for name, value in zip(lists, node.outputs[scan.carries :], strict=True):
            self.write(f"{name} = {self.stacked(Code(name), scan.axis, scan.reverse, value)}", node.span)
            self.hold(name, value)

    def _list(self, emitted: Value, span: Span | None) -> str:
        """An empty list of what the turns of a loop emit, under the name that they get together."""
        name = self.variables.pick(self.want(emitted))
        self.variables.occupy(name)
        self.write(f"{name} = []", span)
        return name

    def _turn(
        self,
        body: Region,
        names: Sequence[str],
        carried: Sequence[Value],
        captures: Sequence[Held],
        lists: Sequence[str],
        span: Span | None,
    ) -> None:
        """One turn of a loop: from the carried values to their next values, and what is emitted."""
        for name, value in zip(names, carried, strict=True):
            self.hold(name, value)
        self._capture(body, captures)
        for name, value in zip(names, body.results, strict=False):
            self.targets.setdefault(value, name)
        self.body(body)
        helds = self._outputs(body)
        for name, held in zip(lists, helds[len(names) :], strict=True):
            self.write(f"{name}.append({held.code})", held.span or span)
            self.variables.release(held.mentions)
        for held in helds[: len(names)]:
            self.variables.release(held.mentions)
        self._settle(list(zip(names, helds, strict=False)), span)

    def _while(self, node: Node, loop: While, condition: Region, body: Region) -> None:
        self._learn_weights((condition, body))
        captures = [self.bind(v) for v in node.operands[loop.carries :]]
        carried = list(body.inputs)[: loop.carries]
        names = self.start(node.operands[: loop.carries], node.outputs, node.span, carried)
        self.write(f"for _ in range({loop.limit}):", node.span)
        with self.indented():
            self.prepare(condition)
            # The condition only looks at what is carried: the body still needs it.
            for name, value in zip(names, condition.inputs, strict=False):
                self.values[value] = Held(Code(name))
            self._capture(condition, captures)
            self.body(condition)
            (test,) = self._outputs(condition)
            self.write(f"if not {test.code.at(NOT)}:", test.span or node.span)
            with self.indented():
                self.write("break")
            self.variables.release(test.mentions)
            self.prepare(body)
            self._turn(body, names, carried, captures, [], node.span)
        for held in captures:
            self.variables.release(held.mentions)
        for name, value in zip(names, node.outputs, strict=True):
            self.hold(name, value)

    def start(
        self, first: Sequence[Value], last: Sequence[Value], span: Span | None, carried: Sequence[Value] = ()
    ) -> list[str]:
        """The variables of carried values, holding the first of them. They become `last`.

        What is not used after the loop is called as it is inside, where it is `carried`.
        """
        helds = [self.tensor(v) for v in first]
        for held in helds:
            self.variables.release(held.mentions)
        names: list[str] = []
        for value, inside in zip(last, carried or last, strict=True):
            wanted = self.want(value) if self.uses(value) else self.hint(inside) or "x"
            names.append(self.variables.pick(wanted))
            self.variables.reserve(names[-1])
        self._settle(list(zip(names, helds, strict=True)), span)
        return names

    # What both share.

    def _learn_weights(self, bodies: Iterable[Region]) -> None:
        """Which inputs of the bodies are weights."""
        for body in bodies:
            self.weights.update(body.captured)

    def _enter(self, body: Region, captures: Sequence[Held], node: Node) -> None:
        """Let the inputs of a branch be what they are captured from; what dies with the node may be overwritten."""
        times = Counter(node.operands)
        for operand, value, held in zip(node.operands, body.inputs, captures, strict=True):
            if value in self.weights:
                continue
            dying = times[operand] == 1 and self.variables.left[operand] == 1 and held.code.text == _name(held)
            if dying and operand in self.values:
                self.hold(held.code.text, value)
            else:
                self.values[value] = Held(held.code)

    def _capture(self, body: Region, captures: Sequence[Held]) -> None:
        inputs = list(body.inputs)
        for value, held in zip(inputs[len(inputs) - len(captures) :], captures, strict=True):
            if value not in self.weights:
                self.values[value] = Held(held.code)

    def _outputs(self, body: Region) -> list[Held]:
        return [self.tensor(v) for v in body.results]

    def _result(self, value: Value, dying: Sequence[Value]) -> str | None:
        """A variable for a result: one that dies with the node, or a free or new one."""
        if not self.uses(value):
            return None
        wanted = self.want(value)
        holder = self.variables.holders.get(wanted)
        if holder is not None and holder in dying and self.variables.left[holder] == 1:
            return wanted
        name = self.variables.pick(wanted)
        self.variables.reserve(name)
        return name

    def _settle(self, targets: Sequence[Target], span: Span | None) -> None:
        """Give variables their values, all at once where one is needed for another."""
        open_ = [(name, held) for name, held in targets if held.code.text != name]
        names = [name for name, _ in open_]
        if any(_mentions(held.code, name) for i, (_, held) in enumerate(open_) for name in names[:i]):
            values = ", ".join(str(held.code) for _, held in open_)
            self.write(f"{', '.join(names)} = {values}", span)
            return
        for name, held in open_:
            self.write(f"{name} = {held.code}", held.span or span)


def _mentions(code: Code, name: str) -> bool:
    return re.search(rf"\b{name}\b", code.text) is not None


def _name(held: Held) -> str | None:
    return held.mentions[0][0] if len(held.mentions) == 1 else None
