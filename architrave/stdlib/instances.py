"""What applying a block of the library builds: for who writes a network as text and may import the block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from architrave.dsl.elaborate import loops, names, statements
from architrave.dsl.elaborate.core import Build, Frame, Names, call, elaborating, evaluate
from architrave.dsl.elaborate.kinds import is_tuple
from architrave.dsl.elaborate.values import BlockType, Instance
from architrave.dsl.modules import load_standard, standard_names
from architrave.ir.graph import Graph, Value, make
from architrave.ir.ops.leaves import Input
from architrave.ir.place import Block, Here, Place, mark
from architrave.ir.source import ArchitraveError, Span
from architrave.ir.types import TensorType

HANDLERS = (loops, statements)
"""Importing them registers how statements run."""


def applied(block: Block, path: str, types: Sequence[TensorType]) -> tuple[str, Mapping[str, object], Graph] | None:
    """The module of a block, the defaults of its static parameters, and what an instance called `path` builds.

    The block carries the static arguments; `types` are those of its inputs. None where the library has no such block,
    where it cannot be applied so, and where it returns anything but tensors.
    """
    found = _exported(block)
    if found is None:
        return None
    module, kind = found
    place, build = Place(""), Build()
    frame = Frame(build, {}, kind.globals, place, Names(), (), "model")
    span = kind.tree.name.span
    before = mark(Here())
    try:
        with elaborating(span):
            static = [p for p in kind.tree.static if p.default is not None]
            defaults = {p.name.text: evaluate(p.default, frame) for p in static if p.default is not None}
            result = _apply(Instance(kind, dict(block.arguments), span), path, types, span, frame)
    except ArchitraveError:
        return None
    finally:
        mark(before)
    inputs, outputs = result
    if not all(isinstance(v, Value) for v in outputs):
        return None
    updates = ((build.weights[p], v) for p, v in build.states.present.items() if v is not build.weights[p])
    graph = Graph(block.name, inputs, outputs, tuple(build.weights.values()), tuple(updates), place)
    return module, defaults, graph


def _apply(
    instance: Instance, path: str, types: Sequence[TensorType], span: Span, frame: Frame
) -> tuple[tuple[Value, ...], tuple[Any, ...]]:
    """The inputs and the results of an instance that is called `path`."""
    names.claim(instance, path, span, frame)
    inputs = tuple(make(Input("x", type), (), Here(span, frame.place)).outputs[0] for type in types)
    result: Any = call(instance, inputs, {}, span, frame)
    return inputs, tuple(result) if is_tuple(result) else (result,)


def _exported(block: Block) -> tuple[str, BlockType] | None:
    """The module that exports a block, and the block as it is declared there."""
    name = "" if block.span is None else block.span.source.name.removeprefix("std/").removesuffix(".arch")
    if name not in standard_names():
        return None
    kind = load_standard(f"std.{name}").exports.get(block.name)
    if not isinstance(kind, BlockType) or kind.tree.span != block.span:
        return None
    return f"std.{name}", kind
