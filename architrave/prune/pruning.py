"""Structured pruning: score units, cut the worst under a budget, train on, and see what that cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from architrave.ir.arrays import Array, np
from architrave.ir.axes.groups import groups
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.bind import sizes_of
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.prune import cost
from architrave.prune.cuttable import chosen, freed, refused
from architrave.prune.layers import leave_out
from architrave.prune.methods import METHODS, method, scores
from architrave.prune.plan import Begin, Plan, Task
from architrave.prune.pruned import Part, Pruned, compared
from architrave.prune.select import Price, Removals, fewest, removals
from architrave.prune.starts import restarted
from architrave.prune.timing import inputs_for, measured, seconds
from architrave.prune.tuning import Tuning, tuned
from architrave.prune.units import kind
from architrave.record.recorder import silent
from architrave.record.scores import scores as examined
from architrave.train.data import Dataset

DEPTH = "llm-drop"
"""The method that leaves out whole parts in place of units."""


def prune(
    network: Graph,
    weights: Mapping[str, Any],
    plan: Plan | None = None,
    data: Dataset | None = None,
    *,
    test: Dataset | None = None,
    tuning: Tuning | None = None,
    begin: Begin = lambda stage, count: silent,
) -> Pruned:
    """Make a trained network smaller. `data` is to score units and to train by, `test` to score the network on.

    With `tuning` the network is trained on after each round. Raises E936 for a budget that cannot be kept, E937 for
    scores that are NaN, E938 for a method without the examples that it needs, and E939 for one that there is not, or
    where nothing can be cut.
    """
    plan = plan or Plan()
    if plan.method != DEPTH:
        method(plan.method)
    if tuning is not None and data is None:
        raise error("E938", "training on needs examples", hint="give data")
    run = _Run(plan, data, data if test is None else test, _sizes(network, plan, data), tuning, begin)
    before = run.examined("the network", network, weights)
    found = run.shallower(network, weights) if plan.method == DEPTH else run.smaller(network, weights)
    after = run.examined("the smaller network", found.graph, found.weights)
    layers = compared(found.start, found.graph, run.sizes)
    return replace(found, before=before, after=after, layers=layers, seconds=run.seconds(found, weights))


@dataclass(frozen=True)
class _Run:
    """The parts of the work, each with its progress."""

    plan: Plan
    data: Dataset | None
    test: Dataset | None
    sizes: Mapping[str, int]
    tuning: Tuning | None
    begin: Begin

    def shallower(self, network: Graph, weights: Mapping[str, Any]) -> Pruned:
        """The network without the parts that do least."""
        found = leave_out(Task(groups(network), (), weights, self.plan, self.data, self.begin), self.sizes)
        after, cut = self.trained(found.graph, found.weights)
        dropped = [part.name for part in found.dropped]
        return Pruned(self.plan, network, network, found.graph, after, self.sizes, (), {}, dropped, cut=cut)

    def smaller(self, network: Graph, weights: Mapping[str, Any]) -> Pruned:
        """The network without the units that do least."""
        start, held = freed(network, weights)
        graph, cut, whole = start, dict[str, float](), 0.0
        parts, whole_groups = dict[str, Part](), dict[str, str]()
        for step in range(1, self.plan.rounds + 1):
            found = groups(graph)
            task = Task(found, chosen(found, self.plan.only), held, self.plan, self.data, self.begin)
            known = scores(task)
            order = removals(known, self.plan, METHODS[self.plan.method].normalize)
            price = self.price(task, order)
            if step == 1:
                whole = price(order.sizes(0))
                parts = {g.name: Part(g.name, kind(g), g.size, np.arange(g.size), known[g]) for g in known}
                whole_groups = refused(found, known, self.plan.only, METHODS[self.plan.method].otherwise)
            kept = order.kept(fewest(order, price, self.plan.keep ** (step / self.plan.rounds), whole, self.plan.by))
            parts |= {g.name: replace(parts[g.name], kept=parts[g.name].kept[units]) for g, units in kept.items()}
            graph, held = restricted(found, kept), taken(found, held, kept)
            held, cut = self.trained(graph, held)
        graph = restarted(start, graph)
        arrays = {path_of(w): np.asarray(held[path_of(w)]) for w in graph.weights}
        return Pruned(self.plan, network, start, graph, arrays, self.sizes, [*parts.values()], whole_groups, cut=cut)

    def price(self, task: Task, order: Removals) -> Price:
        """What the network costs, by the sizes of the groups."""
        cut = order.groups
        match self.plan.by:
            case "parameters":
                return cost.parameters(task.groups, cut)
            case "macs":
                return cost.multiply_adds(task.groups, cut, self.sizes)
            case "units":
                return cost.units(cut)
            case "time":
                inputs = self.inputs(task.groups.graph)
                return measured(task, order, cost.multiply_adds(task.groups, cut, self.sizes), inputs)

    def trained(self, graph: Graph, weights: Mapping[str, Any]) -> tuple[dict[str, Array], dict[str, float]]:
        """The weights after training on, and the scores before that; nothing of these where there is no training."""
        held = {path: np.asarray(array) for path, array in weights.items()}
        if self.tuning is None or self.data is None:
            return held, {}
        scored = self.examined("what is left", graph, held)
        plan = self.plan
        steps = self.tuning.epochs * self.data.steps(min(self.tuning.batch, len(self.data)))
        progress = self.begin("training on", steps)
        options: dict[str, Any] = {"loss": plan.loss, "backend": plan.backend, "seed": plan.seed, "progress": progress}
        return tuned(graph, held, self.data, self.tuning, **options), scored

    def examined(self, what: str, graph: Graph, weights: Mapping[str, Any]) -> dict[str, float]:
        """Accuracy and loss, where there are labels."""
        if self.test is None:
            return {}
        progress = self.begin(f"scoring {what}", len(self.test))
        return examined(graph, weights, self.test, backend=self.plan.backend, progress=progress)

    def inputs(self, graph: Graph) -> list[Array]:
        """What networks are timed on."""
        batches = [] if self.data is None else [x[: self.plan.batch] for x in self.data.inputs]
        return inputs_for(graph, self.sizes, [batches] if batches else [])

    def seconds(self, found: Pruned, weights: Mapping[str, Any]) -> tuple[float, float] | None:
        """How long one run takes, before and after, where that is the budget."""
        if self.plan.by != "time":
            return None
        both = ((found.network, weights), (found.graph, found.weights))
        progress = self.begin("timing both", len(both))
        before, after = seconds(both, self.inputs(found.network), self.plan.backend, progress)
        return before, after


def _sizes(network: Graph, plan: Plan, data: Dataset | None) -> dict[str, int]:
    """The sizes of symbols by which multiply-adds are counted: of one example, and as the plan says, or else 1."""
    known = {} if data is None else sizes_of(network, [(1, *x.shape[1:]) for x in data.inputs])
    return {**dict.fromkeys(network.symbols, 1), **known, **(plan.sizes or {})}
