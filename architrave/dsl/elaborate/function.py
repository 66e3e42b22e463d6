"""From a fn to a graph: for who applies one to tensors from Python, as a trainer does with a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from architrave.dsl.elaborate import loops, statements
from architrave.dsl.elaborate.core import Build, Frame, Names, call, elaborating
from architrave.dsl.elaborate.mode import flatten
from architrave.dsl.elaborate.values import Fn
from architrave.ir.graph import Graph, make
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Here, Place, mark
from architrave.ir.types import TensorType

HANDLERS = (loops, statements)
"""Importing them registers how statements run."""


def elaborate_function(function: Fn, types: Sequence[TensorType], arguments: Mapping[str, Any] | None = None) -> Graph:
    """The graph of a fn over tensors of these types; `arguments` are given by name. Raises `ArchitraveError`.

    A fn has no weights of its own, so neither has the graph.
    """
    tree = function.tree
    name, span = tree.name.text, tree.name.span
    place = Place("")
    build = Build()
    frame = Frame(build, {}, function.globals, place, Names(), (), "fn")
    before = mark(Here())
    try:
        with elaborating(span):
            names = [p.name.text for p in tree.parameters]
            labels = [*names, *(f"x{i}" for i in range(len(names), len(types)))]
            leaves = (make(Input(n, type), (), Here(span, place)) for n, type in zip(labels, types, strict=False))
            inputs = [leaf.outputs[0].named(label) for leaf, label in zip(leaves, labels, strict=False)]
            outputs = flatten(call(function, inputs, dict(arguments or {}), span, frame))
    finally:
        mark(before)
    return Graph(name, tuple(inputs), tuple(outputs), place=place)
