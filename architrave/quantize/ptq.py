"""Post-training quantization: fold, insert quantizers, calibrate, round, lower to integers, and see what that cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.backends.base import names
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.passes import Entry
from architrave.passes.quantize.rounding.sites import sites, weight_sites
from architrave.passes.quantize.rounding.widths import with_widths
from architrave.passes.quantize.weights.links import Link, links
from architrave.quantize.agreement import Agreement, agreement
from architrave.quantize.budget import allotted, levels
from architrave.quantize.calibrate import Seen, chosen, observe, weight_scales
from architrave.quantize.layers import layers as rounded_layers
from architrave.quantize.methods import MIGRATIONS, check_method, with_rounded_weights
from architrave.quantize.noise import Layer, layers
from architrave.quantize.plan import Plan
from architrave.quantize.sensitivity import Measure, distance, divergence
from architrave.quantize.size import Size, size
from architrave.quantize.smooth import migrated
from architrave.record.examples import check_examples, drawn_batches
from architrave.record.recorder import silent
from architrave.record.running import reestimate
from architrave.record.scores import scores
from architrave.train.data import Dataset

Begin = Callable[[str, int], Callable[[int], object]]
"""Told of a stage of the work and how many parts it has; what it gives is told how many more are done."""
COMPARED = 16
"""The examples on which layers are compared, at most."""
AGREEING = 4
"""The examples that every backend runs, at most."""
ROUNDING = ("quantize", "integer", "weight-only")
"""How the passes are called whose refusals leave something in floats."""


@dataclass(frozen=True)
class Quantized:
    """A quantized network with its weights, and what became of it on the way.

    `graph` has quantizers in floats, or is what that was lowered to. `settings` are the scales and zero points that
    calibration chose, `bits` what weights got under a budget, by the paths of their scales. `before` and `after` are
    scores on examples with labels, and empty without.
    """

    plan: Plan
    network: Graph
    graph: Graph
    weights: Mapping[str, Array]
    seen: Sequence[Seen]
    settings: Mapping[str, Array]
    bits: Mapping[str, int]
    layers: Sequence[Layer]
    size: Size
    agreement: Agreement
    declined: Sequence[Entry]
    before: Mapping[str, float]
    after: Mapping[str, float]


def quantize(
    network: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    plan: Plan | None = None,
    *,
    test: Dataset | None = None,
    begin: Begin = lambda stage, count: silent,
) -> Quantized:
    """Quantize a trained network by examples. `test` are those to score it on; by default, `data`.

    Raises E803 for bits that cannot be had, E911 for NaN and infinity, E914 for an unknown method, E915 for examples
    that do not fit or tell nothing, E918 for a budget that no bits keep, E919 where nothing can be rounded, and what
    the passes do.
    """
    plan = plan or Plan()
    check_method(plan.method)
    if plan.migrate:
        check_method(plan.migrate, MIGRATIONS)
    check_examples(network, data)
    run = _Run(plan, drawn_batches(data, plan.examples, plan.batch), begin)
    folded = plan.folding().run(network)
    inserted = plan.inserting().run(folded.graph)
    rounded = inserted.graph
    if not sites(rounded):
        hint = "it takes a convolution, a linear layer or a product of matrices, outside of loops and branches"
        raise error("E919", f"nothing in `{network.name}` can be rounded to few bits", hint=hint)
    floats = folded.weights(run.with_statistics(network, weights))
    original = inserted.weights(run.migrated(folded.graph, floats))
    seen, settings = run.observed(rounded, original)
    told = data if test is None else test
    before = run.scored("the float network", network, weights, told)
    bits = run.bits(rounded, {**original, **settings}, divergence if before else distance)
    mixed = with_widths(rounded, bits)
    rounded, original = mixed.graph, mixed.weights(original)
    held = run.rounded(rounded, {**original, **settings})
    lowered = plan.lowering().run(rounded)
    graph, final = lowered.graph, lowered.weights(held)
    return Quantized(
        plan,
        network,
        graph,
        final,
        seen,
        settings,
        bits,
        run.compared(rounded, held, {**held, **original}),
        size(rounded, final),
        run.agreed(graph, final),
        [e for e in (*inserted.journal.declined, *lowered.journal.declined) if e.step.startswith(ROUNDING)],
        before,
        run.scored("the quantized network", graph, final, told),
    )


@dataclass(frozen=True)
class _Run:
    """The parts of the work that run programs on examples, each with its progress."""

    plan: Plan
    batches: Sequence[tuple[Array, ...]]
    begin: Begin

    @property
    def count(self) -> int:
        return sum(len(batch[0]) for batch in self.batches)

    @property
    def _few(self) -> Sequence[tuple[Array, ...]]:
        return self.batches[: -(-COMPARED // self.plan.batch)]

    def with_statistics(self, network: Graph, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """The weights of the float network, with running statistics taken anew where that is asked for."""
        if not self.plan.reestimate:
            return weights
        progress = self.begin("statistics", self.count)
        return reestimate(network, weights, self.batches, backend=self.plan.backend, progress=progress)

    def migrated(self, graph: Graph, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """The weights of the folded network, with channels scaled where that is asked for."""
        plan = self.plan
        if not plan.migrate:
            return weights
        method = MIGRATIONS[plan.migrate](plan.bits, plan.group)
        progress = self.begin(
            f"scaling channels ({plan.migrate})", sum(isinstance(link, Link) for link in links(graph))
        )
        return migrated(graph, weights, self.batches, method, plan.backend, progress)

    def observed(self, graph: Graph, weights: Mapping[str, Any]) -> tuple[list[Seen], dict[str, Array]]:
        """What was seen of activations, and the scales and zero points chosen by it."""
        progress = self.begin("observing", self.count)
        seen = observe(graph, weights, self.batches, backend=self.plan.backend, progress=progress)
        return seen, chosen(seen, weights, self.plan.observer, power_of_two=self.plan.power_of_two)

    def bits(self, graph: Graph, weights: Mapping[str, Any], measure: Callable[..., Measure]) -> dict[str, int]:
        """The bits of each weight under the plan's budget, those that lose least on the first examples."""
        plan = self.plan
        if not plan.budget:
            return {}
        free = sum(site.op.bits == plan.bits for site in weight_sites(graph))
        progress = self.begin("choosing bits", free * len(levels(plan.bits)))
        change = measure(graph, weights, self._few, backend=plan.backend)
        return allotted(graph, weights, change, plan.bits, plan.budget, progress)

    def rounded(self, graph: Graph, weights: Mapping[str, Any]) -> dict[str, Array]:
        """The weights after the plan's method."""
        plan = self.plan
        held = weight_scales(graph, weights, power_of_two=plan.power_of_two) if plan.least_error else weights
        progress = self.begin(f"rounding ({plan.method})", len(rounded_layers(graph)))
        return with_rounded_weights(graph, held, self.batches, plan.method, backend=plan.backend, progress=progress)

    def compared(self, graph: Graph, weights: Mapping[str, Any], original: Mapping[str, Any]) -> list[Layer]:
        """What each layer loses, on the first examples."""
        progress = self.begin("comparing layers", sum(len(batch[0]) for batch in self._few))
        return layers(graph, weights, original, self._few, backend=self.plan.backend, progress=progress)

    def agreed(self, graph: Graph, weights: Mapping[str, Any]) -> Agreement:
        """Whether all backends give the same bytes, on the very first examples."""
        few = [x[:AGREEING] for x in self.batches[0]]
        return agreement(graph, weights, few, names(), self.begin("comparing backends", len(names())))

    def scored(self, what: str, graph: Graph, weights: Mapping[str, Any], data: Dataset) -> dict[str, float]:
        """Accuracy and loss, where there are labels."""
        return scores(
            graph, weights, data, backend=self.plan.backend, progress=self.begin(f"scoring {what}", len(data))
        )
