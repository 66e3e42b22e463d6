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
from architrave.dsl.elaborate.core import BRANCHED, MISSING, Build, Frame, Layer, ModeNeeded, execute
from architrave.dsl.elaborate.kinds import is_nest
from architrave.ir.enclose import Body, enclose
from architrave.ir.graph import Value, make, serial_now
from architrave.ir.ops.control import Mode
from architrave.ir.source import Span, error


def branch_on_training(node: syntax.If, frame: Frame) -> None:
    """Build both sides of an `if` that depends on `training`."""
    build_, states = frame.build, frame.build.states
    since, mark = serial_now(), states.mark()
    scopes: list[dict[str, Any]] = []
    updated: list[dict[str, Value]] = []
    names = [frame.names.layer(), frame.names.layer()]
    for training, own in zip((True, False), names, strict=True):
        side = replace(frame, scope=Layer(frame.scope), names=own, loop=frame.loop and BRANCHED)
        build_.training = training
        try:
            if execute(node, side) is not None:
                raise ModeNeeded(node.span)
        finally:
            build_.training = None
            scopes.append(side.scope)
            updated.append(states.since(mark))
            states.rollback(mark)
    for own in names:
        frame.names.merge(own)
    pairs = _differing(updated, build_)
    following = {n: p for n, p in frame.states.items() if p in pairs and _follows(n, scopes, pairs[p])}
    changed = [n for n in _changed(scopes, node.span) if n not in following]
    results = [[scopes[i][n] for n in changed] + [pair[i] for pair in pairs.values()] for i in (0, 1)]
    merged = _mode(results, since, node.span, frame)
    for name, value in zip(changed, merged, strict=False):
        frame.scope[name] = value.named(name, frame.place)
    agreed = {n: v for n, v in scopes[0].items() if n not in changed and scopes[1].get(n, MISSING) is v}
    frame.scope.update(agreed)
    _update(updated, dict(zip(pairs, merged[len(changed) :], strict=True)), build_)
    frame.scope.update({name: build_.state(path) for name, path in following.items()})


def _follows(name: str, scopes: list[dict[str, Any]], values: tuple[Value, Value]) -> bool:
    """Whether the variable of a state holds its present value on both sides."""
    return all(scope.get(name) is value for scope, value in zip(scopes, values, strict=True))


def _differing(updated: list[dict[str, Value]], build_: Build) -> dict[str, tuple[Value, Value]]:
    """The states that end up different on the two sides, with both values."""

    def value(side: dict[str, Value], path: str) -> Value:
        return side[path] if path in side else build_.state(path)

    pairs = {p: (value(updated[0], p), value(updated[1], p)) for p in {**updated[0], **updated[1]}}
    return {p: pair for p, pair in pairs.items() if pair[0] is not pair[1]}


def _update(updated: list[dict[str, Value]], merged: dict[str, Value], build_: Build) -> None:
    """Set the states to what both sides agree on, or to what the `mode` node gives."""
    for path, value in {**updated[1], **updated[0], **merged}.items():
        build_.states.set(path, value)


def _changed(scopes: list[dict[str, Any]], span: Span) -> list[str]:
    """The variables that hold tensors of their own on each side. One that a single side makes is its own."""
    training, inference = scopes
    changed: list[str] = []
    for name in {**training, **inference}:
        a, b = training.get(name, MISSING), inference.get(name, MISSING)
        if a is b or a is MISSING or b is MISSING:
            continue
        if isinstance(a, Value) and isinstance(b, Value):
            changed.append(name)
        elif a != b:
            raise ModeNeeded(span)
    return changed


def build_both(run_body: Callable[[Frame], Any], scope: dict[str, Any], span: Span, frame: Frame) -> Any:
    """Build a whole body once for each mode and join the results in a `mode` node."""
    build_, states = frame.build, frame.build.states
    since, mark = serial_now(), states.mark()
    names = [frame.names.layer(), frame.names.layer()]
    values: list[Any] = []
    updated: list[dict[str, Value]] = []
    for training, own in zip((True, False), names, strict=True):
        build_.training = training
        try:
            values.append(run_body(replace(frame, scope=Layer(scope), names=own)))
        finally:
            build_.training = None
            updated.append(states.since(mark))
            states.rollback(mark)
    for own in names:
        frame.names.merge(own)
    if _outline(values[0]) != _outline(values[1]):
        raise error("E253", "training and inference give different kinds of results", span)
    outputs = list(zip(*map(flatten, values), strict=True))
    differing = [pair for pair in outputs if pair[0] is not pair[1]]
    pairs = _differing(updated, build_)
    results = [[pair[i] for pair in (*differing, *pairs.values())] for i in (0, 1)]
    merged = list(_mode(results, since, span, frame))
    _update(updated, dict(zip(pairs, merged[len(differing) :], strict=True)), build_)
    return unflatten(values[0], [a if a is b else merged.pop(0) for a, b in outputs])


def _mode(results: list[list[Value]], since: int, span: Span, frame: Frame) -> tuple[Value, ...]:
    if not results[0]:
        return ()
    bodies = [Body(name, (), tuple(r)) for name, r in zip(("training", "inference"), results, strict=True)]
    frame.here(span)
    (training, inference), captures = enclose(bodies, since)
    return make(Mode(training=training, inference=inference), captures).outputs


def flatten(value: Any) -> list[Value]:
    """The tensors in nested tuples and lists, in order."""
    if isinstance(value, Value):
        return [value]
    return [v for part in value for v in flatten(part)] if is_nest(value) else []


def unflatten(like: Any, values: list[Value]) -> Any:
    """The nesting of `like` with its tensors replaced, in order; uses up `values`."""
    if isinstance(like, Value):
        return values.pop(0)
    if is_nest(like):
        parts = [unflatten(part, values) for part in like]
        return tuple(parts) if isinstance(like, tuple) else parts
    return like


def _outline(value: Any) -> Any:
    if isinstance(value, Value):
        return "tensor"
    if is_nest(value):
        return [type(value).__name__, *map(_outline, value)]
    return repr(value)
