"""Whole parts of a network that go, until what is left costs little enough."""

from __future__ import annotations

from collections.abc import Mapping

from architrave.ir.arrays import np
from architrave.ir.cost import multiply_adds, parameters
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import Kind
from architrave.prune.depth import Shallower, parts, similarity
from architrave.prune.plan import Task

KINDS_OF_LAYERS: tuple[Kind, ...] = ("attention", "mlp", "conv", "other")
"""The branches that are ranked jointly."""


def leave_out(task: Task, sizes: Mapping[str, int]) -> Shallower:
    """The network without as few parts as the plan's budget takes, those first that do least on the examples.

    Raises E936 for a budget that cannot be kept, or one that is not counted.
    """
    graph, plan = task.groups.graph, task.plan
    if plan.by not in ("macs", "parameters"):
        raise error("E936", f"parts go by macs or parameters, not by {plan.by}", hint="choose one of these")
    progress = task.begin("comparing", len(task.examples))
    ranked = similarity(
        graph, task.weights, parts(graph, KINDS_OF_LAYERS), task.batches, backend=plan.backend, progress=progress
    )
    order = [each.part for each in sorted(ranked, key=lambda each: each.score)]
    whole = _cost(graph, plan.by, sizes)
    share = 1.0
    for count in range(len(order) + 1):
        after = dropped(graph, order[:count])
        share = _cost(after, plan.by, sizes) / whole
        if share <= plan.keep:
            held = {path_of(w): np.asarray(task.weights[path_of(w)]) for w in after.weights}
            return Shallower(after, held, tuple(ranked), tuple(order[:count]))
    raise error(
        "E936",
        f"{plan.keep:.2%} of the {plan.by} cannot be kept: without any of the {len(order)} parts {share:.2%} are left",
        hint=f"keep {np.ceil(share * 1e4) / 1e4:g} or more",
    )


def _cost(graph: Graph, by: str, sizes: Mapping[str, int]) -> int:
    total = parameters(graph) if by == "parameters" else multiply_adds(graph, sizes)
    assert isinstance(total, int), "all symbols are bound"
    return total
