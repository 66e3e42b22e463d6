"""Blocks that a file imports: those whose application in the library builds what a region holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.backends.hierarchy import Region, post_order
from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.notation import SizeText, initial_text, literal
from architrave.ir.ops.leaves import Initial, Input, Param, State
from architrave.ir.ops.random import RunKey
from architrave.ir.place import Block
from architrave.ir.types import TensorType

Applied = tuple[str, Mapping[str, object], Graph]
Library = Callable[[Block, str, Sequence[TensorType]], Applied | None]
"""What applying a block at a path to inputs of some types builds: its module, the defaults of its static parameters
and the graph; None for what the library does not have. The static arguments are the block's own."""

FEW = 3
"""More arguments than this in a row say nothing without their names."""


@dataclass(frozen=True)
class Import:
    """A block of a module, with the static arguments that are not its defaults; those without one have no name."""

    module: str
    name: str
    arguments: tuple[tuple[str | None, object], ...]

    def given(self, size: SizeText) -> list[str]:
        """The arguments as they are written."""
        return [(f"{name} = " if name else "") + _text(value, size) for name, value in self.arguments]


def imported(region: Region, library: Library) -> Import | None:
    """The block of the library that a region is an application of, if applying it builds all that is there."""
    block = region.place.block if region.place is not None else None
    tensors = [v for v in region.inputs if not isinstance(v.op, RunKey)]
    names = [region.names.get(v) for v in tensors]
    if block is None or block.kind != "block" or tuple(names) != block.inputs or not region.outputs:
        return None
    if len({n.facts for n in _nodes(region)}) > 1:
        return None
    found = library(block, region.path, [v.type for v in tensors])
    if found is None:
        return None
    module, defaults, graph = found
    arguments, alone = _arguments(block, defaults), _alone(region, tensors)
    if arguments is None or graph != alone or _starts(graph) != _starts(alone):
        return None
    return Import(module, block.name, arguments)


def _arguments(block: Block, defaults: Mapping[str, object]) -> tuple[tuple[str | None, object], ...] | None:
    """The arguments to write; None where one has no form in text. Few without a default go without their names."""
    required = [name for name, _ in block.arguments if name not in defaults]
    nameless = required if len(required) <= FEW else required[:1]
    found: list[tuple[str | None, object]] = []
    for name, value in block.arguments:
        frozen = _frozen(value)
        if name in defaults and _same(frozen, _frozen(defaults[name])):
            continue
        if not _is_plain(frozen):
            return None
        found.append((None if name in nameless else name, frozen))
    return tuple(found)


def _frozen(value: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _same(a: object, b: object) -> bool:
    """Whether an argument is the default; 0.0 is not -0.0."""
    return a is b or (type(a) is type(b) and _is_plain(a) and repr(a) == repr(b))


def _is_plain(value: Any) -> bool:
    """Whether a value has a form in text."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))  # pyright: ignore[reportUnknownArgumentType]
    return value is None or isinstance(value, bool | int | float | str | Dim | Initial)


def _text(value: object, size: SizeText) -> str:
    return initial_text(value) if isinstance(value, Initial) else literal(value, size)


def _nodes(region: Region) -> Iterator[Node]:
    for inner in post_order(region):
        yield from (item for item in inner.items if isinstance(item, Node))


def _alone(region: Region, inputs: Sequence[Value]) -> Graph:
    """What a region computes, as a graph of its own."""
    regions = post_order(region)
    own = [make(Input("x", v.type), ()).outputs[0] for v in inputs]
    new: dict[Value, Value] = dict(zip(inputs, own, strict=True))
    for node in sorted(_nodes(region), key=lambda n: n.serial):
        copy = make(node.op, tuple(new.get(v, v) for v in node.operands))
        new.update(zip(node.outputs, copy.outputs, strict=True))
    weights = tuple(w for r in regions for w in r.weights)
    updates = tuple((state, new.get(v, v)) for r in regions for state, v in r.updates)
    return Graph(region.name, tuple(own), tuple(new.get(v, v) for v in region.outputs), weights, updates)


def _starts(graph: Graph) -> dict[str, object]:
    return {w.op.path: w.op.initial for w in graph.weights if isinstance(w.op, Param | State)}
