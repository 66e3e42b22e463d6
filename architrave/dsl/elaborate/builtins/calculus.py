"""Gradients as values of the language."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.registry import builtin
from architrave.dsl.elaborate.core import Frame, call
from architrave.dsl.elaborate.kinds import is_number
from architrave.dsl.elaborate.loops import updated_states
from architrave.dsl.elaborate.mode import flatten, unflatten
from architrave.dsl.elaborate.values import apply_op, describe
from architrave.ir.autodiff.fit import differentiable, zeros
from architrave.ir.autodiff.reverse import pullback
from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Value, constant, serial_now
from architrave.ir.place import Here, here
from architrave.ir.source import Span, error
from architrave.ir.types import shape_text


@builtin("vjp")
def _vjp(frame: Frame, span: Span, f: Any, x: Any, cotangent: Any) -> Any:
    """`vjp(f, x, g)`: the gradient of `sum(f(x) * g)` by `x`.

    `x` may be a tuple, which `f` takes as its arguments; the gradients are a tuple like it. So may `g`, where `f`
    returns one. The result can be differentiated again, also by weights that `f` uses.
    """
    points = _tensors(x, "`x` of `vjp`", span)
    states, since = frame.build.states.mark(), serial_now()
    own = [placeholder(value.hint or f"x{i}", value.type, Here()) for i, value in enumerate(points)]
    results = _tensors(call(f, own, {}, span, frame), "what `vjp` differentiates", span)
    if updated_states(frame.build, states):
        raise error("E265", "what `vjp` differentiates updates a state", span, hint="apply the block outside of it")
    frame.here(span)
    given = _cotangents(cotangent, results, span)
    (graph,), captures = enclose([Body("vjp", tuple(own), tuple(results))], since)
    floats = [i for i, value in enumerate(results) if differentiable(value.type)]
    back = pullback(graph, [i for i, value in enumerate(points) if differentiable(value.type)], floats)
    found = back.applied((*points, *captures, *(given[i] for i in floats)), here())
    return unflatten(x, [found.get(i) or zeros(value.type) for i, value in enumerate(points)])


def _tensors(nest: Any, what: str, span: Span) -> list[Value]:
    values = flatten(nest)
    if not values:
        raise error("E227", f"{what} must be tensors, not {describe(nest)}", span)
    return values


def _cotangents(given: Any, results: list[Value], span: Span) -> list[Value]:
    """One for each result, of its type; a number stands for a tensor full of it."""
    values: list[Any] = [given] if is_number(given) else flatten(given)
    if len(values) != len(results):
        raise error("E265", f"there are {len(results)} results, but `vjp` gets {len(values)} cotangents", span)
    return [_cotangent(value, result, span) for value, result in zip(values, results, strict=True)]


def _cotangent(value: Any, result: Value, span: Span) -> Value:
    if not isinstance(value, Value):
        return apply_op("expand", constant(float(value), result.dtype), shape=result.shape)
    if value.shape != result.shape:
        shapes = f"{shape_text(result.shape)}, not {shape_text(value.shape)}"
        raise error("E265", f"a cotangent has the shape of its result, {shapes}", span)
    return value if value.dtype is result.dtype else apply_op("cast", value, dtype=result.dtype)
