"""Search spaces: decisions that are taken, or kept open as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import names
from architrave.dsl.elaborate.core import Decision, Frame, Layer, call, calls, is_callable
from architrave.dsl.elaborate.mode import flatten, unflatten
from architrave.dsl.elaborate.values import Instance, StageChoice, describe
from architrave.ir.blame import origin
from architrave.ir.enclose import Body, enclose
from architrave.ir.graph import Value, make, serial_now
from architrave.ir.ops.control import Choice
from architrave.ir.source import Note, Span, error, nearest


def choose(node: syntax.Choice, value_of: Callable[[syntax.Expression, Frame], Any], frame: Frame) -> Any:
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
    value = _claimed(value_of(chosen.value, frame), f"{segment}.{taken}", chosen, frame)
    kind = _kind(value)
    _check_kinds(node, {**kinds, taken: value}, taken, frame)
    frame.build.choices[path] = Decision(path, labels, taken, kind, node.span)
    if not frame.build.keep_choices or kind == "static":
        return value
    others = {taken: value}
    for other in node.alternatives:
        if other is not chosen:
            label = other.label.text
            others[label] = _claimed(value_of(other.value, frame), f"{segment}.{label}", other, frame)
    others = {label: others[label] for label in labels}
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


def _trial(alternative: syntax.Alternative, value_of: Callable[[syntax.Expression, Frame], Any], frame: Frame) -> Any:
    """The value of an alternative that is not taken, built and forgotten: only its kind matters."""
    build = frame.build
    kept, mark = (dict(build.weights), dict(build.declared), dict(build.choices)), build.states.mark()
    own, scope = frame.names, frame.scope
    frame.names, frame.scope = own.layer(), Layer(scope)
    try:
        return value_of(alternative.value, frame)
    finally:
        build.weights, build.declared, build.choices = kept
        build.states.rollback(mark)
        frame.names, frame.scope = own, scope


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple) and flatten(value):
        return "tensor"
    return "tensor" if isinstance(value, Value) else "stage" if is_callable(value) else "static"


def _check_kinds(node: syntax.Choice, values: dict[str, Any], taken: str, frame: Frame) -> None:
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
            notes = [Note(f"`{taken}` comes from here", origin(first, frame.place))]
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
