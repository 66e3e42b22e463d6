"""Giving symbolic sizes their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from architrave.ir.dims import Dim, Size, substitute, unify
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first, rebuild_nested, remade, with_leaves
from architrave.ir.op import Op
from architrave.ir.source import error
from architrave.ir.types import TensorType, shape_text


def bind(graph: Graph, sizes: Mapping[str, Size]) -> Graph:
    """The graph with symbols replaced in every type and attribute; symbols without a size stay."""

    def rewrite(node: Node, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        return remade(node, bind_op(op, sizes), operands)

    return rebuild_nested(graph, rewrite)


def bind_op(op: Op, sizes: Mapping[str, Size]) -> Op:
    """The operator with symbols replaced in its attributes, though not in the graphs that it holds."""

    def bound(leaf: object) -> object:
        match leaf:
            case Dim():
                return substitute(leaf, sizes)
            case TensorType():
                return bind_type(leaf, sizes)
            case _:
                return leaf

    return with_leaves(op, bound) if sizes else op


def bind_type(type: TensorType, sizes: Mapping[str, Size]) -> TensorType:
    """The type with symbols replaced in its shape."""
    if all(isinstance(size, int) for size in type.shape):
        return type
    return type.with_shape([substitute(size, sizes) for size in type.shape])


def sizes_of(graph: Graph, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The symbols' values that make the graph's inputs have the given shapes.

    Raises E510 for the wrong number of inputs, E511 where a shape does not fit its input's type.
    """
    if len(shapes) != len(graph.inputs):
        wanted = ", ".join(f"`{_label(v)}: {v.type}`" for v in graph.inputs) or "none"
        raise error("E510", f"`{graph.name}` takes {len(graph.inputs)} inputs ({wanted}), not {len(shapes)}")
    bindings: dict[str, Size] = {}
    pairs = [
        (size, actual)
        for value, shape in zip(graph.inputs, shapes, strict=True)
        for size, actual in zip(value.shape, shape, strict=False)
    ]
    # One equation may need what a later one binds (`H*W` before `W`): go on while that helps.
    bound = -1
    while bound < len(bindings):
        bound = len(bindings)
        for size, actual in pairs:
            unify(size, actual, bindings)
    for value, shape in zip(graph.inputs, shapes, strict=True):
        if bind_type(value.type, bindings).shape != shape:
            raise _misfit(value, shape, bindings)
    return {name: size for name, size in bindings.items() if isinstance(size, int)}


def symbolic_sizes(graph: Graph) -> frozenset[Dim]:
    """The sizes that are no integers, of all values of a graph and of the graphs inside it."""
    nodes = (node for inner in innermost_first(graph) for node in inner.nodes)
    return frozenset(s for node in nodes for v in node.outputs for s in v.shape if isinstance(s, Dim))


def check_sizes(graph: Graph, symbolic: Iterable[Dim], sizes: Mapping[str, int]) -> None:
    """Raises what `infer` says of the first operator that the sizes do not suit, as a window larger than its axis.

    Only a size that comes to nothing, or to less, can be of one.
    """
    bound = (substitute(size, sizes) for size in symbolic)
    if any(isinstance(size, int) and size < 1 for size in bound):
        bind(graph, sizes)


def _misfit(value: Value, shape: tuple[int, ...], bindings: Mapping[str, Size]) -> Exception:
    known = ", ".join(f"{name} = {size}" for name, size in bindings.items())
    return error(
        "E511",
        f"the input `{_label(value)}` is {value.type}, but the array has the shape {shape_text(shape)}",
        value.node.span,
        hint=f"the inputs together make {known}" if known else None,
    )


def _label(value: Value) -> str:
    return getattr(value.op, "label", value.hint or "input")
