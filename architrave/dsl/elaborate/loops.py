"""Loops that run with the network: `scan` and `while`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.conversions import to_flag, to_int, to_number, to_size
from architrave.dsl.elaborate.core import (
    BRANCHED,
    Build,
    Frame,
    Layer,
    ModeNeeded,
    Names,
    Returned,
    evaluate,
    executes,
    run,
)
from architrave.dsl.elaborate.targets import assign
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir.blame import origin
from architrave.ir.dims import Size
from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Graph, Value, constant, make, serial_now
from architrave.ir.ops.control import Scan, While
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Here
from architrave.ir.source import Note, Span, error, nearest
from architrave.ir.types import DType, TensorType, normalize_axis


@dataclass(eq=False)
class Loop:
    """What a scan's body has emitted."""

    emitted: dict[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True)
class Turn:
    """One symbolic turn of a loop: its graphs, and what they need from outside."""

    graphs: list[Graph]
    captures: tuple[Value, ...]
    states: list[str]  # the states that the body updates, carried after the declared carries
    names: Names


@executes(syntax.Emit)
def _emit(node: syntax.Emit, frame: Frame) -> None:
    if frame.loop is BRANCHED:
        raise ModeNeeded(node.span)
    if not isinstance(frame.loop, Loop):
        hint = "`scan x_t in x { ... emit y as ys }` stacks what its turns emit; `for` adds to a list"
        raise error("E260", "`emit` stands outside of a scan", node.span, hint=hint)
    value = evaluate(node.value, frame)
    if not isinstance(value, Value):
        raise error("E260", f"a scan emits tensors, not {describe(value)}", node.value.span)
    if node.name.text in frame.loop.emitted:
        raise error("E203", f"`{node.name.text}` is emitted twice", node.name.span)
    frame.loop.emitted[node.name.text] = value


@executes(syntax.Scan)
def _scan(node: syntax.Scan, frame: Frame) -> None:
    options = _options(node.options, {"axis", "reverse"}, frame)
    reverse = to_flag(options.get("reverse", False), node.span, "`reverse` of a scan")
    carries = _carries(node.carry, frame)
    if any(isinstance(s.value, syntax.Range) for s in node.sources):
        sequences, start, length = [], *_count(node, frame)
        axis = 0
    else:
        sequences = [_sequence(s, frame) for s in node.sources]
        axis = normalize_axis(to_int(options.get("axis", 0), node.span, "the axis of a scan"), sequences[0].rank)
        start, length = 0, _length(sequences, axis, node)
    loop = Loop()

    def body(side: Frame, given: Sequence[Value]) -> list[Value]:
        loop.emitted.clear()
        side.loop = loop
        for name, value in zip(carries, given, strict=False):
            side.scope[name] = value
        for source, value in zip(node.sources, _elements(sequences, axis, start, side, node), strict=True):
            assign(source.target, value, side)
            inputs.append(value) if sequences else None
        _run_body(node.body, side)
        return [*(_next(side, name, start, node) for name, start in carries.items()), *loop.emitted.values()]

    inputs: list[Value] = []
    step = make(Input("step", TensorType(DType.I64, ())), (), Here()).outputs[0].named("step")

    def turn_inputs(given: Sequence[Value]) -> tuple[Value, ...]:
        return (*(() if sequences else (step,)), *given, *inputs)

    frame.scope["__step__"] = step
    try:
        turn = _one_turn(node, frame, carries, body, inputs, turn_inputs)
    finally:
        frame.scope.pop("__step__", None)
    total = len(carries) + len(turn.states)
    op = Scan(body=turn.graphs[0], carries=total, sequences=len(sequences), length=length, axis=axis, reverse=reverse)
    present = [frame.build.state(p) for p in turn.states]
    frame.here(node.span)
    results = make(op, (*carries.values(), *present, *sequences, *turn.captures)).outputs
    _rebind(frame, turn, list(carries), results)
    for name, value in zip(loop.emitted, results[total:], strict=True):
        frame.scope[name] = value.named(name, frame.place)


def _elements(sequences: Sequence[Value], axis: int, start: Size, side: Frame, node: syntax.Scan) -> list[Value]:
    if not sequences:
        step = side.scope["__step__"]
        side.here(node.span)
        return [step if start == 0 else apply_op("add", step, start)]
    slices: list[Value] = []
    for sequence in sequences:
        shape = sequence.shape[:axis] + sequence.shape[axis + 1 :]
        slices.append(make(Input("element", sequence.type.with_shape(shape)), (), Here()).outputs[0])
    return slices


@executes(syntax.While)
def _while(node: syntax.While, frame: Frame) -> None:
    options = _options(node.options, {"max"}, frame)
    if "max" not in options:
        raise error("E261", "`while` needs a bound on its turns", node.span, hint="such as `max = 100`")
    limit = to_int(options["max"], node.span, "`max`")
    if limit < 0:
        raise error("E261", f"`max` must be at least 0, not {limit}", node.span)
    carries = _carries(node.carry, frame)

    def body(side: Frame, given: Sequence[Value]) -> list[Value]:
        side.loop = None
        side.scope.update(zip(carries, given, strict=False))
        condition = evaluate(node.condition, side)
        if not isinstance(condition, Value):
            what = f"the condition of `while` must be a tensor of what is carried, not {describe(condition)}"
            raise error("E261", what, node.condition.span, hint="`for` loops while building")
        _run_body(node.body, side)
        return [condition, *(_next(side, name, start, node) for name, start in carries.items())]

    turn = _one_turn(node, frame, carries, body, [], tuple)
    (graph,) = turn.graphs
    condition = replace(graph, name="condition", outputs=graph.outputs[:1])
    advance = replace(graph, name="body", outputs=graph.outputs[1:])
    total = len(carries) + len(turn.states)
    present = [frame.build.state(p) for p in turn.states]
    frame.here(node.span)
    op = While(condition=condition, body=advance, carries=total, limit=limit)
    results = make(op, (*carries.values(), *present, *turn.captures)).outputs
    _rebind(frame, turn, list(carries), results)


def _one_turn(
    node: syntax.Scan | syntax.While,
    frame: Frame,
    first: dict[str, Value],
    body: Callable[[Frame, Sequence[Value]], list[Value]],
    elements: list[Value],
    inputs: Callable[[Sequence[Value]], tuple[Value, ...]],
) -> Turn:
    """Build the body once on placeholders. States that it updates become carries, which takes another try."""
    build_, mark = frame.build, frame.build.states.mark()
    states: list[str] = []
    while True:
        since = serial_now()
        names = frame.names.layer()
        carried = [*first.items(), *((path.rpartition(".")[2], build_.state(path)) for path in states)]
        given = [placeholder(name, value.type, Here()) for name, value in carried]
        for path, value in zip(states, given[len(first) :], strict=True):
            build_.states.set(path, value)
        start = build_.states.mark()
        elements.clear()
        side = replace(frame, scope=Layer(frame.scope), names=names)
        _read_states(side, states)
        try:
            results = body(side, given[: len(first)])
            after = {p: build_.state(p) for p in states}
            updated = [p for p in updated_states(build_, start) if p not in states]
        finally:
            build_.states.rollback(mark)
        if not updated:
            break
        states += updated
    if isinstance(node, syntax.Scan):
        split = len(first)
        results = [*results[:split], *(after[p] for p in states), *results[split:]]
    else:
        results = [*results, *(after[p] for p in states)]
    frame.here(node.span)
    graphs, captures = enclose([Body("body", inputs(given), tuple(results))], since)
    return Turn(graphs, captures, states, names)


def updated_states(build_: Build, since: int) -> list[str]:
    """The states that got another value, those left out that were only declared."""
    present = build_.states.since(since)
    declared = {path for path, before in build_.states.journal[since:] if before is None}
    return [p for p, v in present.items() if p not in declared or v is not build_.weights[p]]


def _read_states(frame: Frame, states: Sequence[str]) -> None:
    """Let the variables of states stand for their present values."""
    for name, path in frame.states.items():
        if path in states:
            frame.scope[name] = frame.build.state(path)


def _rebind(frame: Frame, turn: Turn, carries: list[str], results: Sequence[Value]) -> None:
    frame.names.merge(turn.names)
    for name, value in zip(carries, results, strict=False):
        frame.scope[name] = value.named(name, frame.place)
    for path, value in zip(turn.states, results[len(carries) :], strict=False):
        frame.build.states.set(path, value)
    _read_states(frame, turn.states)


def _run_body(body: Sequence[syntax.Statement], side: Frame) -> None:
    returned: Returned | None = run(body, side)
    if returned is not None:
        raise error(
            "E262", "a loop that runs with the network cannot return", returned.span, hint="carry the value out"
        )


def _next(side: Frame, name: str, start: Value, node: syntax.Scan | syntax.While) -> Value:
    """What a carried value becomes after a turn. Raises E263 where that is no tensor, E324 for another type."""
    value = side.scope[name]
    given = next((a.span for a in node.carry if a.name is not None and a.name.text == name), node.span)
    if not isinstance(value, Value):
        raise error("E263", f"the carried `{name}` must stay a tensor, and becomes {describe(value)}", given)
    if value.type == start.type:
        return value
    made = origin(value, side.place)
    notes = [] if made is None else [Note(f"the next `{name}` is made here", made)]
    what = f"the carried `{name}` starts as {start.type} and becomes {value.type}"
    raise error("E324", what, given, notes=notes, hint="what is carried keeps its type from turn to turn")


def _carries(given: Sequence[syntax.Argument], frame: Frame) -> dict[str, Value]:
    carries: dict[str, Value] = {}
    for argument in given:
        if argument.name is None:
            raise error("E263", "what is carried has a name", argument.span, hint="such as `carry (h = zeros([N, 8]))`")
        name, value = argument.name.text, evaluate(argument.value, frame)
        if isinstance(value, bool | int | float):
            frame.here(argument.span)
            number = value if isinstance(value, bool) else to_number(value, argument.span, f"the carried `{name}`")
            value = constant(number, DType.I64 if isinstance(value, int) else DType.FLOAT)
        if not isinstance(value, Value):
            raise error("E263", f"a loop carries tensors, not {describe(value)}", argument.value.span)
        carries[name] = value
    return carries


def _options(given: Sequence[syntax.Argument], known: set[str], frame: Frame) -> Mapping[str, Any]:
    options: dict[str, Any] = {}
    for argument in given:
        name = argument.name.text if argument.name is not None else argument.span.text
        if name not in known:
            hint = nearest(name, known) or f"it has {', '.join(f'`{k}`' for k in sorted(known))}"
            raise error("E222", f"this loop has no option `{name}`", argument.span, hint=hint)
        options[name] = evaluate(argument.value, frame)
    return options


def _sequence(source: syntax.ScanSource, frame: Frame) -> Value:
    value = evaluate(source.value, frame)
    if isinstance(value, Value) and value.rank > 0:
        return value
    raise error(
        "E235", f"a scan runs over a tensor, not {describe(value)}", source.value.span, hint="`for` runs over lists"
    )


def _length(sequences: Sequence[Value], axis: int, node: syntax.Scan) -> Size:
    return sequences[0].shape[axis]


def _count(node: syntax.Scan, frame: Frame) -> tuple[Size, Size]:
    source, *others = node.sources
    span: Span = source.span
    if others:
        raise error(
            "E235", "a scan runs over tensors or counts, not both", span, hint="`arange(n)` is a tensor that counts"
        )
    counted = source.value
    assert isinstance(counted, syntax.Range)
    start = to_size(evaluate(counted.start, frame), counted.span, "the start of a range")
    length = to_size(evaluate(counted.stop, frame), counted.span, "the end of a range") - start
    return start, max(length, 0) if isinstance(length, int) else length
