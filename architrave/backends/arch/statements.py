"""Statements: which expressions stand where they are used, and which get a variable first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from architrave.backends.arch.expression import Expression
from architrave.backends.arch.scope import Scope
from architrave.backends.hierarchy import Region, is_constant
from architrave.ir.graph import Value
from architrave.ir.notation import fact_lines, tuple_text
from architrave.ir.place import Fact

LONGEST = 80
"""An expression longer than this is taken apart, where it has parts."""
PARTS = 3.2
"""An expression of more calls than this is taken apart."""


class Statements(Scope):
    """The lines of one body."""

    def __init__(self, region: Region, taken: Iterable[str], symbols: Sequence[str] | None) -> None:
        super().__init__(region, taken, symbols)
        self.lines: list[str] = []
        self.indent = "    "
        self.most = PARTS
        """How many calls an expression may be made of."""

    def write(self, text: str, facts: tuple[Fact, ...] = ()) -> None:
        self.annotate(facts)
        self.lines.append(f"{self.indent}{text}")

    def annotate(self, facts: tuple[Fact, ...]) -> None:
        self.lines += [f"{self.indent}{line}" for line in fact_lines(facts)]

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
