"""Factorizing a trained network: choose ranks by its weights, take layers apart, and see what that cost."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from architrave.factorize.allocate import Allocation, Choices, at_level, within
from architrave.factorize.layers import By, Extent, extent, layers, total, weight_of
from architrave.factorize.methods import Method, dense_cost, method_for
from architrave.factorize.plan import Plan
from architrave.factorize.product import Map, decibels, product, relative_error
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError, error
from architrave.passes import Entry, Pipeline
from architrave.passes.factorize.chain import Layer
from architrave.passes.factorize.ranks import Rank, Ranks
from architrave.passes.pipeline import Transformed
from architrave.passes.reparam.trainable import held_below, place_of_weights

Begin = Callable[[str, int], Callable[[int], object]]
"""Told of a stage of the work and how many parts it has; what it gives is told how many more are done."""


def silently(stage: str, count: int) -> Callable[[int], object]:
    """Tell nobody."""
    return lambda done: None


@dataclass(frozen=True)
class Cut:
    """A layer before and after: its rank, None where it stays as it is, and what it costs, by what is counted.

    `bound` is the relative error by which ranks were chosen, `error` that of its weight in the Frobenius norm.
    """

    layer: Layer
    rank: Rank | None
    step: str
    before: Mapping[By, int]
    after: Mapping[By, int]
    bound: float = 0.0
    error: float = 0.0

    @property
    def path(self) -> str:
        """The path of its weight."""
        return path_of(self.layer.weight)

    @property
    def decibels(self) -> float:
        """The signal-to-noise ratio of its weight."""
        return decibels(self.error)


@dataclass(frozen=True)
class Factorized:
    """A factorized network with its weights, and what became of its layers.

    `level` bounds the relative errors of all layers, by the plan's measure. `before` and `after` are what the whole
    networks cost; multiply-adds are left out where only the run knows them.
    """

    plan: Plan
    network: Graph
    graph: Graph
    weights: Mapping[str, Array]
    passes: str
    level: float
    cuts: Sequence[Cut]
    before: Mapping[By, int]
    after: Mapping[By, int]
    declined: Sequence[Entry]


def factorize(network: Graph, weights: Mapping[str, Any], plan: Plan, begin: Begin = silently) -> Factorized:
    """Take the layers of a network apart: it stays trainable, and so do its batch norms.

    Raises E930 for a budget that no ranks meet, with the nearest that can be met, E931 for a plan that means nothing,
    for multiply-adds that the run alone knows and where no layer can be taken apart, E807 for weights that are NaN or
    infinite, and what `Transformed.weights` raises.
    """
    plan.check()
    found = layers(network, plan.selector())
    if not found:
        hint = "it takes a convolution or linear layer with a weight of its own, outside of loops and branches"
        raise error("E931", f"nothing in `{network.name}` can be taken apart", hint=hint)
    methods = {path_of(layer.weight): method_for(plan.method, layer) for layer in found}
    progress = begin("singular values", len(found))
    choices: dict[str, Choices] = {}
    for layer in found:
        path = path_of(layer.weight)
        runs = extent(network, layer, plan.by)
        choices[path] = methods[path].choices(layer, weight_of(layer, weights), runs, plan.measure)
        progress(1)
    chosen = _chosen(network, plan, choices)
    made = pipeline(methods, chosen.ranks).run(network)
    new = made.weights(weights)
    progress = begin("comparing layers", len(found))
    cuts: list[Cut] = []
    held = held_below(network)
    for layer in found:
        cuts.append(_cut(network, layer, methods[path_of(layer.weight)], chosen, weights, _Made(new, held)))
        progress(1)
    return Factorized(
        plan,
        network,
        made.graph,
        new,
        str(pipeline(methods, chosen.ranks)),
        max(chosen.errors.values(), default=0.0),
        cuts,
        costs(network),
        costs(made.graph),
        _declined(made),
    )


def pipeline(methods: Mapping[str, Method], ranks: Mapping[str, Rank]) -> Pipeline:
    """The passes that give layers these ranks: one for each method that any of them has."""
    steps = dict.fromkeys(methods[path].step for path in ranks)
    return Pipeline(
        tuple(replace(s, ranks=Ranks.of({p: r for p, r in ranks.items() if methods[p].step == s})) for s in steps)
    )


def costs(graph: Graph) -> dict[By, int]:
    """What a network has of everything that is counted, as far as it is known."""
    found: dict[By, int] = {"parameters": total(graph, "parameters")}
    with contextlib.suppress(ArchitraveError):
        found["macs"] = total(graph, "macs")
    return found


def _chosen(network: Graph, plan: Plan, choices: Mapping[str, Choices]) -> Allocation:
    if plan.level is not None:
        return at_level(choices, plan.level)
    whole = total(network, plan.by)
    fixed = whole - sum(each.dense for each in choices.values())
    what = "multiply-adds" if plan.by == "macs" else plan.by
    assert plan.keep is not None
    return within(choices, fixed, plan.keep * whole, whole, what)


@dataclass(frozen=True)
class _Made:
    """The new weights, and how many of the old ones are at and below each place."""

    weights: Mapping[str, Array]
    held: Counter[str]


def _cut(
    network: Graph,
    layer: Layer,
    method: Method,
    chosen: Allocation,
    old: Mapping[str, Any],
    made: _Made,
) -> Cut:
    path = path_of(layer.weight)
    rank = chosen.ranks.get(path)
    runs: dict[By, Extent] = {by: extent(network, layer, by) for by in _countable(network, layer)}
    before: dict[By, int] = {by: dense_cost(layer, at) for by, at in runs.items()}
    if rank is None:
        return Cut(layer, None, "", before, before)
    after: dict[By, int] = {by: method.cost(layer, rank, at) for by, at in runs.items()}
    given = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
    above = place_of_weights(layer.node, given, made.held)
    factors = method.step.factors(layer, rank)
    assert not isinstance(factors, str), f"{path}: {factors}"
    maps = [Map(made.weights[f"{above}.{factor.name}.weight"], factor.window.groups) for factor in factors]
    lost = relative_error(product(maps), Map(weight_of(layer, old), layer.window.groups))
    return Cut(layer, rank, method.step.name, before, after, chosen.errors[path], lost)


def _countable(network: Graph, layer: Layer) -> list[By]:
    """What can be counted of a layer."""
    try:
        extent(network, layer, "macs")
    except ArchitraveError:
        return ["parameters"]
    return ["parameters", "macs"]


def _declined(made: Transformed) -> list[Entry]:
    return list(dict.fromkeys(made.journal.declined))
