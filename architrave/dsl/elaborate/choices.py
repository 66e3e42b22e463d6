"""Search spaces: decisions that are taken, or kept open as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate import names
from architrave.dsl.elaborate.core import Decision, Frame, Layer, call, calls, is_callable
from architrave.dsl.elaborate.kinds import is_list, is_tuple
from architrave.dsl.elaborate.limits import CALL_STEPS
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
    frame.build.step(node.span, CALL_STEPS)
    since = serial_now()
    by_label = {a.label.text: a for a in node.alternatives}

    def alternative(label: str) -> Any:
        tree = by_label[label]
        with frame.build.alternative(path, label):
            return _claimed(value_of(tree.value, frame), f"{segment}.{label}", tree, frame)

    value = alternative(taken)
    kind = _kind(value)
    kept = frame.build.keep_choices and kind in ("stage", "tensor")
    values = {taken: value}
    for label in labels:
        if label != taken and kept:
            values[label] = alternative(label)
        elif label != taken:
            values[label] = _trial(by_label[label], value_of, frame)
    _check_kinds(node, values, taken, frame)
    decision = frame.build.choices.setdefault(path, Decision(path, labels, taken, kind, node.span))
    decision.within.append(frame.build.within)
    if not kept:
        return value
    others = {label: values[label] for label in labels}
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
    scope, checkpoint = frame.scope, frame.build.checkpoint(frame.names)
    frame.scope = Layer(scope)
    try:
        return value_of(alternative.value, frame)
    finally:
        frame.scope = scope
        frame.build.go_back(checkpoint, frame.names)


def _kind(value: Any) -> str:
    if isinstance(value, Value) or ((is_tuple(value) or is_list(value)) and flatten(value)):
        return "tensor"
    return "stage" if is_callable(value) else "list" if is_list(value) else "static"


def _check_kinds(node: syntax.Choice, values: dict[str, Any], taken: str, frame: Frame) -> None:
    """Raises E271 for alternatives of different kinds, E272 for tensors of different types."""
    first, kind = values[taken], _kind(values[taken])
    for alternative in node.alternatives:
        label = alternative.label.text
        other = values[label]
        if _kind(other) != kind:
            what = f"`{taken}` is {describe(first)} while `{label}` is {describe(other)}"
            raise error("E271", f"the alternatives of a choice must be of one kind, and {what}", alternative.span)
        if kind == "tensor" and _types(first) != _types(other):
            notes = [Note(f"`{taken}` comes from here", origin(flatten(first)[0], frame.place))]
            what = f"`{taken}` is {describe(first)} while `{label}` is {describe(other)}"
            raise error("E272", f"alternatives of different types: {what}", alternative.span, notes=notes)


def _types(value: Any) -> Any:
    """The type of a tensor, or those in a tuple or list, nested as it is."""
    if isinstance(value, Value):
        return value.type
    return [type(value), *map(_types, value)] if is_tuple(value) or is_list(value) else None


@calls(StageChoice)
def _call_choice(choice: StageChoice, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    since = serial_now()
    results: dict[str, Any] = {}
    for label, stage in choice.alternatives.items():
        with frame.build.alternative(choice.path, label):
            results[label] = call(stage, args, kwargs, span, frame)
    return _choice_node(choice.path, results, since, span, frame)


def _choice_node(path: str, results: dict[str, Any], since: int, span: Span, frame: Frame) -> Any:
    bodies = [Body(label, (), tuple(flatten(value))) for label, value in results.items()]
    frame.here(span)
    graphs, captures = enclose(bodies, since)
    node = make(Choice(path=path, labels=tuple(results), alternatives=tuple(graphs)), captures)
    return unflatten(next(iter(results.values())), list(node.outputs))
