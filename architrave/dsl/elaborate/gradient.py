"""Fns that carry their own gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.application import run_body
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.mode import flatten, unflatten
from architrave.dsl.elaborate.values import Fn, apply_op
from architrave.ir.enclose import Body, enclose, placeholder
from architrave.ir.graph import Value, make, serial_now
from architrave.ir.ops.control import CustomGrad
from architrave.ir.place import Here
from architrave.ir.source import Span, error
from architrave.ir.types import shape_text


def call_with_gradient(fn: Fn, frame: Frame, span: Span) -> Any:
    """Apply a fn whose parameters are bound in `frame`, as one `custom_grad` node."""
    tree = fn.tree
    assert tree.gradient is not None
    tensors = {p.name.text: frame.scope[p.name.text] for p in tree.parameters if _is_operand(p, frame)}
    what = f"fn `{tree.name.text}`"
    since = serial_now()
    own = {name: placeholder(name, value.type, Here()) for name, value in tensors.items()}
    statics = {n: v for n, v in frame.scope.items() if n not in own}
    results = run_body(tree.body, tree.result, what, span, replace(frame, scope={**statics, **own}))
    outputs = flatten(results)
    again = {name: placeholder(name, value.type, Here()) for name, value in tensors.items()}
    gradients = [placeholder(f"grad_{i}", v.type, Here()) for i, v in enumerate(outputs)]
    names = [p.text for p in tree.gradient.parameters]
    if len(names) != len(outputs):
        results_ = "its result" if len(outputs) == 1 else f"each of its {len(outputs)} results"
        given_names = ", ".join(f"`{n}`" for n in names) or "nothing"
        message = f"grad of {what} takes the gradient of {results_}, not {given_names}"
        raise error("E264", message, tree.gradient.span)
    scope = {**statics, **again, **dict(zip(names, gradients, strict=True))}
    returned = run_body(tree.gradient.body, None, f"grad of {what}", tree.gradient.span, replace(frame, scope=scope))
    given = _shaped(flatten(returned), tensors, tree)
    forward = Body("forward", tuple(own.values()), tuple(outputs))
    backward = Body("backward", (*again.values(), *gradients), tuple(given))
    frame.here(span)
    (forward_graph, backward_graph), captures = _enclose(forward, backward, since)
    op = CustomGrad(forward=forward_graph, backward=backward_graph, differentiable=len(tensors), label=tree.name.text)
    return unflatten(results, list(make(op, (*tensors.values(), *captures)).outputs))


def _is_operand(parameter: syntax.Parameter, frame: Frame) -> bool:
    return isinstance(frame.scope[parameter.name.text], Value)


def _shaped(given: list[Value], tensors: dict[str, Value], tree: syntax.Fn) -> list[Value]:
    """The gradients, each of its parameter's dtype. Raises E264 where they do not have its shape."""
    assert tree.gradient is not None
    span = tree.gradient.span
    if len(given) != len(tensors):
        named = ", ".join(f"`{n}`" for n in tensors)
        what = f"grad must return one gradient for each of {named}: {len(tensors)} of them, not {len(given)}"
        raise error("E264", what, span)
    for name, value, gradient in zip(tensors, tensors.values(), given, strict=True):
        if gradient.shape != value.shape:
            shapes = f"{shape_text(value.shape)}, as `{name}` is, not {shape_text(gradient.shape)}"
            raise error("E264", f"the gradient of `{name}` must be {shapes}", span)
    return [
        g if g.dtype is v.dtype else apply_op("cast", g, dtype=v.dtype)
        for g, v in zip(given, tensors.values(), strict=True)
    ]


def _enclose(forward: Body, backward: Body, since: int) -> Any:
    """Both graphs take the operands first, the captures after them, and `backward` the gradients last."""
    graphs, captures = enclose([forward, backward], since)
    first, second = graphs
    operands = len(forward.parameters)
    own, outside = second.inputs[: len(backward.parameters)], second.inputs[len(backward.parameters) :]
    reordered = (*own[:operands], *outside, *own[operands:])
    return (first, replace(second, inputs=reordered)), captures
