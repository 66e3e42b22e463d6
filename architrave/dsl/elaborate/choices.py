"""Search spaces: decisions that are taken, or kept open as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import names
from architrave.dsl.elaborate.core import Decision, Frame, Layer, call, calls, evaluate, evaluates, is_callable
from architrave.dsl.elaborate.expressions import stage_callee
from architrave.dsl.elaborate.mode import flatten, unflatten
from architrave.dsl.elaborate.values import Instance, StageChoice, describe
from architrave.ir.enclose import Body, enclose
from architrave.ir.graph import Value, make, serial_now
from architrave.ir.ops.control import Choice
from architrave.ir.source import Note, Span, error, nearest


@evaluates(syntax.Choice)
def _choice(node: syntax.Choice, frame: Frame) -> Any:
    return choose(node, lambda alternative: evaluate_alternative(alternative, frame), frame)


def evaluate_alternative(node: syntax.Expression, frame: Frame) -> Any:
    """An alternative outside of a pipe. A fn applied to no tensor is a stage that waits for one."""
    return stage_callee(node, frame) if _is_open_call(node, frame) else evaluate(node, frame)


def _is_open_call(node: syntax.Expression, frame: Frame) -> bool:
    from architrave.dsl.elaborate.application import is_tensor
    from architrave.dsl.elaborate.values import Fn

    if not isinstance(node, syntax.Call) or not isinstance(node.callee, syntax.Name):
        return False
    callee = frame.lookup(node.callee.text, node.callee.span)
    if not isinstance(callee, Fn) or not callee.tree.parameters or not is_tensor(callee.tree.parameters[0]):
        return False
    return not any(isinstance(evaluate(a.value, frame), Value) for a in node.arguments)


def choose(node: syntax.Choice, value_of: Callable[[syntax.Expression], Any], frame: Frame) -> Any:
    """The value of a choice: the alternative that is decided on, or a node that keeps them all."""
    segment = names.path_segment(node.path, frame) if node.path is not None else _counted(frame)
    names.claim_name(segment, node.span, frame)
    path = names.weight_path(frame.place, segment)
    labels = tuple(a.label.text for a in node.alternatives)
    taken = frame.build.decisions.get(path, labels[0])
    if taken not in labels:
        raise error(
            "E270",
            f"the choice `{path}` has no alternative `{taken}`",
            node.span,
            hint=nearest(taken, labels) or f"it has {', '.join(labels)}",
        )
    kinds = {a.label.text: _trial(a, value_of, frame) for a in node.alternatives if a.label.text != taken}
    (chosen,) = (a for a in node.alternatives if a.label.text == taken)
    since = serial_now()
    value = _claimed(value_of(chosen.value), f"{segment}.{taken}", chosen, frame)
    kind = _kind(value)
    _check_kinds(node, {**kinds, taken: value}, taken)
    frame.build.choices[path] = Decision(path, labels, taken, kind, node.span)
    if not frame.build.keep_choices or kind == "static":
        return value
    others = {
        a.label.text: value if a is chosen else _claimed(value_of(a.value), f"{segment}.{a.label.text}", a, frame)
        for a in node.alternatives
    }
    if kind == "stage":
        return StageChoice(path, others)
    return _choice_node(path, others, since, node.span, frame)


def _counted(frame: Frame) -> str:
    number = frame.names.counters.get("choice", 0)
    frame.names.counters["choice"] = number + 1
    return f"choice_{number}"


def _claimed(value: Any, segment: str, alternative: syntax.Alternative, frame: Frame) -> Any:
    if isinstance(value, Instance) and value.path is None:
        names.claim(value, segment, alternative.span, frame)
    return value


def _trial(alternative: syntax.Alternative, value_of: Callable[[syntax.Expression], Any], frame: Frame) -> Any:
    """The value of an alternative that is not taken, built and forgotten: only its kind matters."""
    build = frame.build
    kept, mark = (dict(build.weights), dict(build.declared), dict(build.choices)), build.states.mark()
    own, scope = frame.names, frame.scope
    frame.names, frame.scope = own.layer(), Layer(scope)
    try:
        return value_of(alternative.value)
    finally:
        build.weights, build.declared, build.choices = kept
        build.states.rollback(mark)
        frame.names, frame.scope = own, scope


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple) and flatten(value):
        return "tensor"
    return "tensor" if isinstance(value, Value) else "stage" if is_callable(value) else "static"


def _check_kinds(node: syntax.Choice, values: dict[str, Any], taken: str) -> None:
    first, kind = values[taken], _kind(values[taken])
    for alternative in node.alternatives:
        other = values[alternative.label.text]
        if _kind(other) != kind or (kind == "static" and isinstance(other, list) is not isinstance(first, list)):
            raise error(
                "E271",
                f"the alternatives of a choice must be of one kind, and `{taken}` is {describe(first)}"
                f" while `{alternative.label.text}` is {describe(other)}",
                alternative.span,
            )
        if isinstance(first, Value) and first.type != other.type:
            notes = [Note(f"`{taken}` is {first.type}", first.node.span)]
            label = alternative.label.text
            what = f"alternatives of different types: `{taken}` is {first.type}, `{label}` is {other.type}"
            raise error("E272", what, alternative.span, notes=notes)


@calls(StageChoice)
def _call_choice(choice: StageChoice, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    since = serial_now()
    results = {label: call(stage, args, kwargs, span, frame) for label, stage in choice.alternatives.items()}
    return _choice_node(choice.path, results, since, span, frame)


def _choice_node(path: str, results: dict[str, Any], since: int, span: Span, frame: Frame) -> Any:
    bodies = [Body(label, (), tuple(flatten(value))) for label, value in results.items()]
    frame.here(span)
    graphs, captures = enclose(bodies, since)
    node = make(Choice(path=path, labels=tuple(results), alternatives=tuple(graphs)), captures)
    return unflatten(next(iter(results.values())), list(node.outputs))
