"""How many activations are 0 on examples, and what a network would need if it skipped them.

Li and others, "The Lazy Neuron Phenomenon: On Emergence of Activation Sparsity in Transformers" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.cost import Sizes, multiply_adds_by_node
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.active import KeepTopk
from architrave.ir.ops.contraction import Einsum, Linear, Matmul
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.shape import Flatten, Reshape, Transpose
from architrave.ir.source import error
from architrave.passes.select import Select
from architrave.passes.sparsify.skip_zeros import has_zeros
from architrave.record import Recorder, silent

MOVES = (Reshape, Transpose, Flatten)
"""What hands zeros on to a product as they are."""


@dataclass(frozen=True)
class Activity:
    """An activation that is 0 in places, and the share of its elements that differ from 0.

    `share` is over all examples, `most` that of the example with the most; `value` is of `graph` in inference.
    """

    value: Value
    share: float
    most: float

    @property
    def node(self) -> Node:
        """What computes it."""
        return self.value.node

    @property
    def where(self) -> str:
        """The place that computes it, for people."""
        return str(self.node.place or "") or "the model itself"

    def __str__(self) -> str:
        return f"{self.where}: {self.share:.1%} of {self.node.op.name} differ from 0, at most {self.most:.1%}"


@dataclass(frozen=True)
class Activities:
    """What the probes of a network saw; `graph` is the network in inference, of whose values they are."""

    graph: Graph
    found: tuple[Activity, ...]

    @property
    def share(self) -> float:
        """The mean over the activations."""
        return float(np.mean([activity.share for activity in self.found]))

    def multiply_adds(self, sizes: Sizes | None = None) -> tuple[Size, Size]:
        """The multiply-adds of the network, and how many are left where zeros of activations are skipped, rounded up.

        Of a product whose operand was probed, or keeps k of its units by definition, the share that differs from 0.
        """
        return needed(self.graph, {activity.value: activity.share for activity in self.found}, sizes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.found))


def activities(
    network: Graph,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    *,
    only: Select | None = None,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> Activities:
    """The share of nonzero activations on batches of examples: of each relu, and of what passes made 0 in places.

    `only` chooses among these. They are counted where they are computed, so that no activation leaves the program.
    Raises E942 where there are none outside of loops and branches, E912 where there are no batches.
    """
    graph = specialize(replace(network, updates=()), training=False)
    probed = [v for v in _with_zeros(graph) if only is None or only.matches(v.node)]
    if not probed:
        hint = "relus are, and what the passes `topk-activations` and `scap` make so; `--only` chooses among them"
        raise error("E942", f"no activation of `{graph.name}` is 0 in places by its operator", hint=hint)
    counts = {str(i): _nonzero(value) for i, value in enumerate(probed)}
    recorder = Recorder(replace(graph, outputs=tuple(counts.values())), counts, backend)
    seen: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in counts}
    for found in recorder.stream(weights, batches, progress):
        for name, shares in found.items():
            seen[name].append(np.atleast_1d(shares).astype(np.float64))
    if not all(seen.values()):
        raise error("E912", "there are no batches to count activations on", hint="give some examples")
    joined = (np.concatenate(seen[str(i)]) for i in range(len(probed)))
    pairs = zip(probed, joined, strict=True)
    return Activities(graph, tuple(Activity(v, float(s.mean()), float(s.max())) for v, s in pairs))


def needed(graph: Graph, shares: Mapping[Value, float], sizes: Sizes | None = None) -> tuple[Size, Size]:
    """The multiply-adds of a network, and how many are left where products skip zeros of their first operand.

    `shares` are of values that differ from 0; of `keep_topk` along the last axis it is k over the units without data.
    """
    costs = multiply_adds_by_node(graph, sizes)
    everything: Size = 0
    left: Size = 0
    for node, cost in costs.items():
        share = _share(node, shares)
        everything = everything + cost
        left = left + (cost if share is None else _part(cost, share))
    return everything, left


def _share(node: Node, shares: Mapping[Value, float]) -> float | None:
    """The share of the first operand of a product that differs from 0, where that is known."""
    if not isinstance(node.op, Linear | Matmul | Einsum | Conv):
        return None
    value = node.operands[0]
    while value not in shares and isinstance(value.op, MOVES):
        value = value.node.operands[0]
    if value in shares:
        return shares[value]
    return _by_definition(value)


def _by_definition(value: Value) -> float | None:
    op = value.op
    units = value.shape[op.axis] if isinstance(op, KeepTopk) else None
    if not isinstance(op, KeepTopk) or not isinstance(units, int) or not isinstance(op.k, int):
        return None
    return op.k / max(units, 1)


def _part(cost: Size, share: float) -> Size:
    """A share of a number that may be symbolic, in exact integers: per million."""
    return (cost * round(share * 1_000_000) + 999_999) // 1_000_000


def _with_zeros(graph: Graph) -> list[Value]:
    """Activations that are 0 in places; of a chain of such operators the last."""
    values = [node.outputs[0] for node in graph.nodes if node.outputs and has_zeros(node.outputs[0])]
    taken = {v for value in values for v in value.node.operands if has_zeros(v)}
    return [v for v in values if v not in taken and v.dtype.is_float]


def _nonzero(value: Value) -> Value:
    """The share of nonzero elements of each example."""
    axes = tuple(range(1, value.rank))
    nonzero: Value = build.where(build.not_equal(value, 0.0), 1.0, 0.0)
    share: Value = build.mean(nonzero, axes=axes) if axes else nonzero
    return share
