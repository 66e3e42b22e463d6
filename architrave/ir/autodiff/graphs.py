"""Graphs of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from architrave.ir.autodiff.fit import differentiable, zeros
from architrave.ir.autodiff.loops import keep_carries
from architrave.ir.autodiff.places import Mirror
from architrave.ir.autodiff.reverse import active_values, sweep
from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.leaves import Full, Input, Param, State
from architrave.ir.place import Here
from architrave.ir.source import error


def grad(graph: Graph, of: Value | None = None, wrt: Sequence[Value] | None = None) -> Graph:
    """The graph that takes what `graph` takes and gives the gradients of `of` by `wrt`.

    `of` is a float scalar that the graph computes, its one output unless given. `wrt` are inputs, params and states
    of floats, in the order of the results; unless given, all params and then all float inputs. What `of` does not
    depend on gets zeros. Both modes are differentiated, so that `specialize` picks one before or afterwards.
    Raises E370 where there is nothing to differentiate, E371 where `of` is no number.
    """
    sources = _sources(graph) if wrt is None else tuple(wrt)
    _check_sources(graph, sources)
    target = _only_output(graph) if of is None else of
    one = _one(target)
    plain = replace(graph, outputs=(target,), updates=(), name=f"{graph.name}_gradient")
    plain, gradients = _gradients(plain, sources, [one])
    return replace(plain, outputs=gradients)


def with_gradients(graph: Graph, wrt: Sequence[Value] | None = None) -> Graph:
    """The graph with a further input for each float output, what flows back to it, and further outputs: gradients.

    They are the gradients of `sum(<output, cotangent>)` by `wrt`: unless given, by all params and then by all float
    inputs. Updates of states stay. Raises E370 where there is nothing to differentiate.
    """
    sources = _sources(graph) if wrt is None else tuple(wrt)
    _check_sources(graph, sources)
    cotangents = [_cotangent(i, value) if differentiable(value.type) else None for i, value in enumerate(graph.outputs)]
    plain, gradients = _gradients(graph, sources, cotangents)
    given = tuple(c for c in cotangents if c is not None)
    return replace(plain, inputs=(*graph.inputs, *given), outputs=(*plain.outputs, *gradients))


def value_and_grad(graph: Graph, wrt: Sequence[Value] | None = None, has_aux: bool = False) -> Graph:
    """The graph of one number, with its gradients by `wrt` as further outputs. Updates of states stay.

    With `has_aux` there may be outputs behind the number, which are not differentiated. `wrt` and errors are those of
    `grad`.
    """
    sources = _sources(graph) if wrt is None else tuple(wrt)
    _check_sources(graph, sources)
    number, *aux = graph.outputs if has_aux else (_only_output(graph),)
    plain, gradients = _gradients(graph, sources, [_one(number), *(None for _ in aux)])
    return replace(plain, outputs=(*plain.outputs, *gradients))


def _one(target: Value) -> Value:
    """What flows back to a number of which the gradient is asked for."""
    if target.rank or not differentiable(target.type):
        hint = "reduce it first, `sum(y)`; or use `with_gradients`, which takes what flows back to each output"
        raise error("E371", f"a gradient is of one number, not of {target.type}", target.node.span, hint=hint)
    return apply(Full(1.0, (), target.dtype))


def _gradients(
    graph: Graph, sources: Sequence[Value], cotangents: Sequence[Value | None]
) -> tuple[Graph, tuple[Value, ...]]:
    """The graph as it must run to be differentiated, and the gradients by `sources`."""
    graph, kept = keep_carries(graph, active_values(graph, sources))
    flowing: dict[Value, Value] = {}
    for value, cotangent in zip(graph.outputs, cotangents, strict=True):
        if cotangent is not None:
            flowing[value] = flowing[value] + cotangent if value in flowing else cotangent
    found = sweep(graph, sources, flowing, Mirror(graph.place), kept)
    return graph, tuple(_named(source, found) for source in sources)


def _named(source: Value, found: Mapping[Value, Value]) -> Value:
    gradient = found.get(source) or zeros(source.type)
    return gradient.named(f"{source.hint or 'input'}_gradient")


def _cotangent(position: int, value: Value) -> Value:
    return placeholder(f"{value.hint or f'output_{position}'}_cotangent", value.type, Here())


def _sources(graph: Graph) -> tuple[Value, ...]:
    params = (w for w in graph.weights if isinstance(w.op, Param))
    return tuple(v for v in (*params, *graph.inputs) if differentiable(v.type))


def _check_sources(graph: Graph, sources: Sequence[Value]) -> None:
    leaves = {*graph.inputs, *graph.weights}
    for value in sources:
        if value not in leaves or not isinstance(value.op, Input | Param | State):
            raise error("E370", f"a gradient is by an input or a weight of `{graph.name}`, which {value!r} is not")
        if not differentiable(value.type):
            raise error("E370", f"there is no gradient by {value!r}: it does not hold floats", value.node.span)


def _only_output(graph: Graph) -> Value:
    if len(graph.outputs) == 1:
        return graph.outputs[0]
    raise error("E371", f"`{graph.name}` has {len(graph.outputs)} outputs", hint="say which one: `of = ...`")
