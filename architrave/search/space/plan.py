"""A graph that keeps its choices, prepared so that a member is followed through it quickly."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import leaves, subgraphs
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, Control
from architrave.ir.ops.leaves import Param, State
from architrave.search.space.expressions import Expressions, Kind, number_of
from architrave.search.space.members import Member

NAMES = ("path", "label")
"""Attributes that are names."""


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """A node: the slots of its operands, and the first of the slots of its results. Values of a graph have slots."""

    kind: Kind
    operands: tuple[int, ...]
    first: int
    results: tuple[Kind, ...]
    """What tells apart the results, where there are several."""


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """A choice: what is to be done for each label."""

    path: str
    operands: tuple[int, ...]
    first: int
    steps: Mapping[str, Steps]


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """A node that holds graphs, as an operator that depends on the member."""

    what: tuple[Hashable, ...]
    draws: tuple[Hashable, ...]
    """The names of the random numbers that are drawn inside."""
    operands: tuple[int, ...]
    first: int
    results: tuple[Kind, ...]
    leaves: tuple[int, ...]
    """The colours of what its graphs are given: its operands, and what each takes that is its own."""
    inner: tuple[tuple[tuple[int, ...], Steps], ...]
    """Each graph, and which of the leaves its inputs are."""

    def step(self, member: Member) -> Step:
        """The operator for a member. Its operands are in the order of how they are used, those alone that are.

        They were captured in an order that follows from the source, and for alternatives that are not taken, too.
        """
        inside = Expressions(self.leaves)
        outputs = [output for given, steps in self.inner for output in steps.run([*given], member, inside)]
        uses = inside.uses(outputs)
        order = sorted((i for i in range(len(self.operands)) if i in uses), key=lambda i: uses[i])
        kind = _kind((*self.what, inside.digest(outputs).hex()), *self.draws)
        return Step(kind, tuple(self.operands[i] for i in order), self.first, self.results)


@dataclass(frozen=True, eq=False, slots=True)
class Steps:
    """A graph; its inputs have the first slots."""

    steps: tuple[Step | Decision | Held, ...]
    slots: int
    outputs: tuple[int, ...]

    def run(self, given: list[int], member: Member, into: Expressions) -> list[int]:
        """The expressions that the graph gives, of those that it is given. It recurses as deep as choices nest."""
        at = given + [0] * (self.slots - len(given))
        for step in self.steps:
            if isinstance(step, Decision):
                found = step.steps[member[step.path]].run([at[slot] for slot in step.operands], member, into)
                at[step.first : step.first + len(found)] = found
                continue
            now = step if isinstance(step, Step) else step.step(member)
            whole = into.number(now.kind, [at[slot] for slot in now.operands])
            at[now.first] = whole
            for i, result in enumerate(now.results):
                at[now.first + i] = into.number(result, (whole,))
        return [at[slot] for slot in self.outputs]


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole graph: the colours of its inputs and weights, and its steps, which begin with these."""

    leaves: tuple[int, ...]
    inputs: int
    steps: Steps

    def digest(self, member: Member) -> bytes:
        """What a member is up to isomorphism, in 16 bytes."""
        expressions = Expressions(self.leaves, self.inputs)
        outputs = self.steps.run([*range(len(self.leaves))], member, expressions)
        return expressions.digest(outputs)


def planned(graph: Graph, unordered: frozenset[str]) -> Plan:
    """The plan of a graph, in which some operators have operands without order."""
    rules = {old: _rule(old, new) for old, new in graph.updates}
    inputs = [number_of("input", i, str(v.type)) for i, v in enumerate(graph.inputs)]
    weights = [_leaf(weight, rules.get(weight, 0)) for weight in graph.weights]
    return Plan((*inputs, *weights), len(inputs), _steps(graph, (*graph.inputs, *graph.weights), unordered))


def _steps(graph: Graph, given: tuple[Value, ...], unordered: frozenset[str]) -> Steps:
    slots = {value: slot for slot, value in enumerate(given)}
    known = {value.node for value in given}
    found: list[Step | Decision | Held] = []
    # New states are computed for every alternative, beside the choice: how they follow counts with their leaves.
    for node in replace(graph, updates=(), weights=()).nodes:
        if node in known:
            continue
        operands, first = tuple(slots[v] for v in node.operands), len(slots)
        slots.update({value: first + value.index for value in node.outputs})
        found.append(_step(node, operands, first, unordered))
    return Steps(tuple(found), len(slots), tuple(slots[v] for v in graph.outputs))


def _step(node: Node, operands: tuple[int, ...], first: int, unordered: frozenset[str]) -> Step | Decision | Held:
    op = node.op
    if isinstance(op, Choice):
        inner = [_steps(graph, graph.inputs, unordered) for graph in op.alternatives]
        return Decision(op.path, operands, first, dict(zip(op.labels, inner, strict=True)))
    types = [str(type) for type in node.types]
    results = tuple(_kind(("result", i)) for i in range(len(types))) if len(types) > 1 else ()
    what = (op.name, *types, *_attributes(op))
    if not isinstance(op, Control):
        inside = [planned(graph, unordered).digest({}).hex() for graph in subgraphs(op)]
        return Step(_kind((*what, *inside), *_path(op), unordered=op.name in unordered), operands, first, results)
    leaves = [number_of("operand", str(v.type)) for v in node.operands]
    held: list[tuple[tuple[int, ...], Steps]] = []
    for graph, entries in zip(subgraphs(op), op.entries(), strict=True):
        own = [i for i, entry in enumerate(entries) if entry is None]
        given = tuple(entry if entry is not None else len(leaves) + own.index(i) for i, entry in enumerate(entries))
        leaves += [number_of("own", len(held), i, str(graph.inputs[i].type)) for i in own]
        held.append((given, _steps(graph, graph.inputs, unordered)))
    whole = Held(what, _draws(op), operands, first, results, tuple(leaves), tuple(held))
    return whole if _chooses(op) else whole.step({})


def _kind(what: tuple[Hashable, ...], *path: Hashable, unordered: bool = False) -> Kind:
    """`what` it is like, and the name that makes it one of its own."""
    colour = number_of(repr(what))
    return Kind(colour, number_of(colour, repr(path)), unordered)


def _leaf(weight: Value, rule: int) -> int:
    match weight.op:
        case Param(type=type, initial=initial) | State(type=type, initial=initial):
            start = planned(initial, frozenset()).digest({}).hex() if isinstance(initial, Graph) else str(initial)
            return number_of(weight.op.name, str(type), start, rule)
        case op:
            raise TypeError(f"{op.name} is no weight")


def _rule(old: Value, new: Value) -> int:
    """How a state's new value is made of the old one. What else it is made of counts by type alone.

    A graph that keeps its choices computes new values of all alternatives beside the choice, of inputs that a member
    need not have.
    """
    numbers = {old.node: 0}
    for node in Graph("rule", (old,), (new,)).nodes:
        if any(v.node in numbers for v in node.operands):
            what = (node.op.name, *_attributes(node.op))
            operands = [numbers.get(v.node, number_of(_described(v))) for v in node.operands]
            numbers[node] = number_of(repr(what), *operands)
    return numbers.get(new.node, 0)


def _described(value: Value) -> str:
    """A number, or the type of what is computed."""
    return f"{value.type}" if value.node.operands else f"{value.type} {value.op.name} {_attributes(value.op)}"


def _attributes(op: Op) -> tuple[str, ...]:
    """What an operator does, without names and graphs."""
    fields = dataclasses.fields(op)  # type: ignore[arg-type]  # every operator is one
    kept = [field.name for field in fields if field.compare and field.name not in NAMES]
    return tuple(
        f"{name}={leaf!r}" for name in kept for leaf in leaves(getattr(op, name)) if not isinstance(leaf, Graph)
    )


def _path(op: Op) -> tuple[str, ...]:
    """The name of a draw of random numbers: two with one path give the same."""
    path = getattr(op, "path", None)
    return () if path is None else (path,)


def _draws(op: Op) -> tuple[str, ...]:
    return tuple(name for node in _within(op) if not isinstance(node.op, Choice) for name in _path(node.op))


def _chooses(op: Op) -> bool:
    return any(isinstance(node.op, Choice) for node in _within(op))


def _within(op: Op) -> Iterator[Node]:
    """The nodes of all graphs in an operator."""
    pending = [*subgraphs(op)]
    while pending:
        for node in pending.pop().nodes:
            yield node
            pending += subgraphs(node.op)
