"""Methods that say what each unit of a network is worth, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from architrave.ir.arrays import Array, np
from architrave.ir.axes.groups import Group
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.source import error, nearest
from architrave.prune.activation import activation
from architrave.prune.optin import optin
from architrave.prune.plan import Scores, Task
from architrave.prune.tuning import at_lengths
from architrave.prune.units import per_unit
from architrave.record.gradients import Gradients
from architrave.train.objective import Objective


def magnitude(task: Task) -> Scores:
    """The L2 norm of all that belongs to a unit, in every weight. Li and others, "Pruning Filters" (2017)."""
    return {group: np.sqrt(_summed(task, group, np.square)) for group in task.cut}


def magnitude_l1(task: Task) -> Scores:
    """The sum of absolute values of all that belongs to a unit."""
    return {group: _summed(task, group, np.abs) for group in task.cut}


def bn_scale(task: Task) -> Scores:
    """The absolute scale of batch norm. Liu and others, "Network Slimming" (2017)."""
    nodes = (node for node in specialize(task.groups.graph, training=False).nodes if isinstance(node.op, BatchNorm))
    scales = {path_of(v) for node in nodes for v in node.operands[3:4] if isinstance(v.op, Param)}
    found: Scores = {}
    for group in task.cut:
        sums = [per_unit(m, np.abs(task.weights[m.path])) for m in group.members if m.path in scales]
        if sums:
            found[group] = np.sum(sums, axis=0)
    return found


def taylor(task: Task) -> Scores:
    """`|w * dL/dw|`, summed over all that belongs to a unit: what the loss changes when it goes, to first order.

    Molchanov and others, "Importance Estimation for Neural Network Pruning" (2019).
    """
    data = task.examples
    graph = at_lengths(task.groups.graph, data)
    loss = Objective(task.plan.loss if data.target is not None else "").attached(graph, data.target_type(graph))
    paths = list(dict.fromkeys(m.path for group in task.cut for m in group.members if m.learns))
    progress = task.begin("taking gradients", len(data))
    found = Gradients(loss, paths, task.plan.backend).mean(task.weights, data.parts(task.plan.batch), progress)
    products = {path: np.abs(np.asarray(task.weights[path], np.float64) * g) for path, g in found.items()}
    return {
        group: np.sum([per_unit(m, products[m.path]) for m in group.members if m.learns], axis=0) for group in task.cut
    }


def random(task: Task) -> Scores:
    """Numbers drawn from the seed."""
    rng: Any = np.random.default_rng(task.plan.seed)
    return {group: rng.random(group.size) for group in task.cut}


@dataclass(frozen=True)
class Method:
    """What scores units, and what their scores are divided by in each group unless a plan says otherwise.

    Groups that it cannot score stay whole: `otherwise` is the reason.
    """

    scores: Callable[[Task], Scores]
    normalize: str = "mean"
    otherwise: str = ""


METHODS: dict[str, Method] = {
    "magnitude": Method(magnitude),
    "magnitude-l1": Method(magnitude_l1),
    "bn-scale": Method(bn_scale, "none", "no batch norm scales it"),
    "taylor": Method(taylor),
    "activation": Method(activation, otherwise="no value that is contracted along it is outside of loops"),
    "optin": Method(optin, "none"),
    "random": Method(random, "none"),
}
"""What says what the units of a network are worth."""


def method(name: str) -> Method:
    """The method of a name. Raises E939 where there is none."""
    found = METHODS.get(name)
    if found is None:
        hint = nearest(name, METHODS) or f"there are {', '.join(METHODS)}"
        raise error("E939", f"there is no method `{name}` that scores units", hint=hint)
    return found


def scores(task: Task) -> Scores:
    """What the units are worth by the plan's method, of the groups that it can score.

    Raises E937 for NaN, E939 where it can score none.
    """
    by = method(task.plan.method)
    found = by.scores(task)
    if not found:
        what = f"`{task.plan.method}` can score nothing in `{task.groups.graph.name}`"
        raise error("E939", what, hint=f"of each group, {by.otherwise}")
    for group, values in found.items():
        wrong = np.flatnonzero(np.isnan(values))
        if len(wrong):
            what = f"the score of unit {wrong[0]} of `{group.name}` is not a number (NaN)"
            raise error("E937", what, hint="look at the weights and the examples")
    return found


def _summed(task: Task, group: Group, entry: Callable[[Array], Array]) -> Array:
    """The sum of a function of all numbers that belong to each unit and learn."""
    learning = [member for member in group.members if member.learns]
    sums = [per_unit(m, entry(np.asarray(task.weights[m.path], np.float64))) for m in learning]
    return np.asarray(np.sum(sums, axis=0))
