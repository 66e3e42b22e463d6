"""`training`: building the training and the inference side of a network into one graph.

While both modes are built at once, reading `training` raises `ModeNeeded`. An `if` statement catches it
and builds both of its sides as sub-graphs of a `mode` node. Where that cannot say what is meant (a static
value or a `return` that depends on the mode), the whole application becomes the `mode` node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import MISSING, Build, Frame, ModeNeeded, Names, execute
from architrave.ir.enclose import Body, enclose, serial_now
from architrave.ir.graph import Value, make
from architrave.ir.ops.control import Mode
from architrave.ir.source import Span, error


def branch_on_training(node: syntax.If, frame: Frame) -> None:
    """Build both sides of an `if` that depends on `training`."""
    build_ = frame.build
    since = serial_now()
    before = dict(frame.scope)
    states = dict(build_.states)
    scopes: list[dict[str, Any]] = []
    updated: list[dict[str, Value]] = []
    names = [_copied(frame.names), _copied(frame.names)]
    for training, own in zip((True, False), names, strict=True):
        build_.training, build_.states = training, dict(states)
        side = _sibling(frame, dict(before), own)
        try:
            if execute(node, side) is not None:
                raise ModeNeeded(node.span)
        finally:
            build_.training = None
            scopes.append(side.scope)
            updated.append(build_.states)
            build_.states = states
    _merge_names(frame.names, names)
    changed = _changed(before, scopes, node.span)
    paths = [p for p in {**updated[0], **updated[1]} if updated[0].get(p) is not updated[1].get(p)]
    results = [
        [scope[n] for n in changed] + [_state(side, build_, p) for p in paths]
        for scope, side in zip(scopes, updated, strict=True)
    ]
    merged = _mode(results, since, node.span, frame)
    for name, value in zip(changed, merged, strict=False):
        frame.scope[name] = value.named(name)
    agreed = {n: v for n, v in scopes[0].items() if n not in changed and scopes[1].get(n, MISSING) is v}
    frame.scope.update(agreed)
    build_.states = {**states, **{p: v for p, v in updated[0].items() if p not in paths}}
    build_.states.update(zip(paths, merged[len(changed) :], strict=True))


def _state(side: dict[str, Value], build_: Build, path: str) -> Value:
    return side.get(path, build_.weights[path])


def _changed(before: dict[str, Any], scopes: list[dict[str, Any]], span: Span) -> list[str]:
    """The variables that hold tensors of their own on each side. One that a single side makes is its own."""
    training, inference = scopes
    changed: list[str] = []
    for name in training:
        a, b = training[name], inference.get(name, MISSING)
        if a is b or b is MISSING:
            continue
        if isinstance(a, Value) and isinstance(b, Value):
            changed.append(name)
        elif a != b:
            raise ModeNeeded(span)
    return changed


def build_both(run_body: Callable[[Frame], Any], scope: dict[str, Any], span: Span, frame: Frame) -> Any:
    """Build a whole body once for each mode and join the results in a `mode` node."""
    build_ = frame.build
    since = serial_now()
    states = dict(build_.states)
    names = [Names(), Names()]
    values: list[Any] = []
    updated: list[dict[str, Value]] = []
    for training, own in zip((True, False), names, strict=True):
        build_.training, build_.states = training, dict(states)
        try:
            values.append(run_body(_sibling(frame, dict(scope), own)))
        finally:
            build_.training = None
            updated.append(build_.states)
            build_.states = states
    _merge_names(frame.names, names)
    paths = [p for p in {**updated[0], **updated[1]} if updated[0].get(p) is not updated[1].get(p)]
    pairs = list(zip(*map(flatten, values), strict=False))
    if _outline(values[0]) != _outline(values[1]):
        raise error("E253", "training and inference give different kinds of results", span)
    differing = [pair for pair in pairs if pair[0] is not pair[1]]
    results = [[pair[i] for pair in differing] + [_state(updated[i], build_, p) for p in paths] for i in (0, 1)]
    merged = list(_mode(results, since, span, frame))
    build_.states = {**states, **{p: v for p, v in updated[0].items() if p not in paths}}
    build_.states.update(zip(paths, merged[len(differing) :], strict=True))
    return unflatten(values[0], [a if a is b else merged.pop(0) for a, b in pairs])


def _mode(results: list[list[Value]], since: int, span: Span, frame: Frame) -> tuple[Value, ...]:
    if not results[0]:
        return ()
    bodies = [Body(name, (), tuple(r)) for name, r in zip(("training", "inference"), results, strict=True)]
    (training, inference), captures = enclose(bodies, since)
    frame.here(span)
    return make(Mode(training=training, inference=inference), captures).outputs


def _sibling(frame: Frame, scope: dict[str, Any], names: Names) -> Frame:
    return replace(frame, scope=scope, names=names)


def _copied(names: Names) -> Names:
    return Names(dict(names.used), dict(names.counters))


def _merge_names(names: Names, sides: list[Names]) -> None:
    for side in sides:
        names.used.update(side.used)
        names.counters.update({k: max(v, names.counters.get(k, 0)) for k, v in side.counters.items()})


def flatten(value: Any) -> list[Value]:
    """The tensors in nested tuples and lists, in order."""
    if isinstance(value, Value):
        return [value]
    return [v for part in value for v in flatten(part)] if isinstance(value, tuple | list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def unflatten(like: Any, values: list[Value]) -> Any:
    """The nesting of `like` with its tensors replaced, in order; uses up `values`."""
    if isinstance(like, Value):
        return values.pop(0)
    if isinstance(like, tuple | list):
        parts = [unflatten(part, values) for part in like]  # pyright: ignore[reportUnknownVariableType]
        return tuple(parts) if isinstance(like, tuple) else parts
    return like


def _outline(value: Any) -> Any:
    if isinstance(value, Value):
        return "tensor"
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(_outline, value)]  # pyright: ignore[reportUnknownArgumentType]
    return repr(value)
