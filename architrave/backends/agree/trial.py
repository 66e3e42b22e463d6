"""What a verification runs on: sizes, weights and inputs, drawn so that agreement means something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.bind import bind, bind_type
from architrave.ir.dims import Size, substitute
from architrave.ir.draws import normal, uniform
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.initial import draw
from architrave.ir.initializers import initial_value
from architrave.ir.nested import subgraphs
from architrave.ir.ops.leaves import Initial, Param, State
from architrave.ir.source import ArchitraveError, error
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import TensorType

SMALL = 4
"""Integer inputs lie below this where nothing tells what they index."""

_SIZES = (8, 16, 32, 64, 128, 224)


@dataclass(frozen=True)
class Trial:
    """The sizes of symbols, and weights by path and inputs, all of which `dtype` holds exactly."""

    sizes: dict[str, int]
    weights: dict[str, Array]
    inputs: tuple[Array, ...]
    seed: int

    @property
    def key(self) -> tuple[int, int]:
        """The key of random numbers: of some step that is not the first."""
        return self.seed, 5


def trial(graph: Graph, sizes: Mapping[str, int] | None = None, seed: int = 0, dtype: Any = np.float32) -> Trial:
    """Draw weights and inputs. Sizes that are not given are 2 for `N` and otherwise the least of a few that fit."""
    known = _sizes(graph, sizes or {})
    weights = {w.op.path: _weight(w.op, seed, dtype) for w in graph.weights if isinstance(w.op, Param | State)}
    bounds = index_bounds(graph)
    inputs = tuple(
        random_array(bind_type(v.type, known), seed, f"input {i}", dtype, _bound(bounds.get(v, ()), known))
        for i, v in enumerate(graph.inputs)
    )
    return Trial(known, weights, inputs, seed)


def random_array(type: TensorType, seed: int, path: str, dtype: Any, high: int = SMALL) -> Array:
    """Floats are normal, integers lie below `high`, and truth values are mostly true."""
    shape = tuple(size for size in type.shape if isinstance(size, int))
    stored = numpy_dtype(type.dtype, dtype)
    if type.dtype.is_float:
        return normal(seed, path, shape, stored, 1.0)
    if type.dtype.is_complex:
        parts = [normal(seed, f"{path} {part}", shape, np.dtype("f8"), 1.0) for part in ("real", "imaginary")]
        return (parts[0] + 1j * parts[1]).astype(stored)
    chances = uniform(seed, path, shape, np.dtype("f8"), 0.0, 1.0)
    if not type.dtype.is_bool:
        return (chances * high).astype(stored)
    value = chances < 0.75
    value[..., :1] = True  # so that no row of an attention mask is empty
    return value


def index_bounds(graph: Graph) -> dict[Value, list[Size]]:
    """For integer inputs that index something: the number of rows of what they index."""
    found: dict[Value, list[Size]] = {}
    pending = [(graph, {v: v for v in graph.inputs if v.dtype.is_integer})]
    while pending:
        inner, origin = pending.pop()
        for node in inner.nodes:
            for value, count in _indexed(node):
                if value in origin:
                    found.setdefault(origin[value], []).append(count)
            if node.op.name in _CARRIERS:
                sources = [origin[v] for v in node.operands if v in origin]
                origin.update((v, sources[0]) for v in node.outputs if sources)
            pending += [(g, _passed(node, g, origin)) for g in _bodies(node)]
    return found


_CARRIERS = frozenset(
    {"reshape", "transpose", "expand", "slice", "concat", "stack", "unsqueeze", "squeeze", "flatten", "cast", "flip"}
)
"""Operators whose results hold the numbers of their operands."""


def _indexed(node: Node) -> Iterator[tuple[Value, Size]]:
    """The operands that a node takes for indices, and into how many rows."""
    op: Any = node.op
    match op.name:
        case "take" | "gather" | "scatter_add":
            yield node.operands[1], node.operands[0].shape[op.axis]
        case "segment_sum" | "segment_max" | "segment_mean":
            yield node.operands[1], op.count
        case "one_hot":
            yield node.operands[0], op.count
        case _:
            return


def _bodies(node: Node) -> tuple[Graph, ...]:
    """The graphs that a node runs; not those of initial values."""
    return subgraphs(node.op) if node.operands else ()


def _passed(node: Node, graph: Graph, origin: Mapping[Value, Value]) -> dict[Value, Value]:
    """The origins of a sub-graph's inputs: the operands, after the step of a loop that counts."""
    inputs = graph.inputs[max(0, len(graph.inputs) - len(node.operands)) :]
    return {inside: origin[v] for inside, v in zip(inputs, node.operands, strict=False) if v in origin}


def _bound(counts: Sequence[Size], sizes: Mapping[str, int]) -> int:
    known = [count for count in (substitute(c, sizes) for c in counts) if isinstance(count, int)]
    return max(1, min(known, default=SMALL))


def _weight(weight: Param | State, seed: int, dtype: Any) -> Array:
    """The initial value of a weight, or random numbers around it where it is one number everywhere.

    A weight of zeros would hide what it multiplies, a batch statistic of ones what it divides.
    """
    stored = numpy_dtype(weight.type.dtype, dtype)
    shape = tuple(size for size in weight.type.shape if isinstance(size, int))
    number = _constant(weight.initial, shape)
    if number is None or not weight.type.dtype.is_float or not np.isfinite(number):
        return initial_value(weight, seed, stored)
    if abs(number) < 0.1:
        return normal(seed, weight.path, shape, stored, 0.1)
    return uniform(seed, weight.path, shape, stored, *sorted((0.5 * number, 1.5 * number)))


def _constant(initial: object, shape: tuple[int, ...]) -> float | None:
    if not isinstance(initial, Initial):
        return None
    kind, numbers = draw(initial, shape)
    return numbers[0] if kind == "full" else None


def _sizes(graph: Graph, given: Mapping[str, int]) -> dict[str, int]:
    unknown = [name for name in given if name not in graph.symbols]
    if unknown:
        known = ", ".join(graph.symbols) or "none"
        raise error("E519", f"`{graph.name}` has no symbolic size `{unknown[0]}`", hint=f"it has {known}")
    first = {"N": 2, **given}
    for size in _SIZES:
        sizes = {name: first.get(name, size) for name in graph.symbols}
        if set(graph.symbols) <= set(first) or _works(graph, sizes):
            return sizes
    raise error("E519", f"no size that was tried for {', '.join(graph.symbols)} fits", hint="give the sizes")


def _works(graph: Graph, sizes: Mapping[str, int]) -> bool:
    """Whether every tensor of the graph has elements under these sizes."""
    try:
        bound = bind(graph, sizes)
    except ArchitraveError:
        return False
    shapes = (v.shape for node in bound.nodes for v in node.outputs)
    return all(not isinstance(size, int) or size > 0 for shape in shapes for size in shape)
