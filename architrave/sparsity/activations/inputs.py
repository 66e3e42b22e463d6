"""Trained networks whose layers take many of their inputs for 0, by examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.bind import sizes_of
from architrave.ir.graph import Graph
from architrave.passes import Pipeline, Select, apply
from architrave.passes.sparsify.scap import Scap
from architrave.record.examples import check_examples, drawn_batches
from architrave.record.recorder import silent
from architrave.record.scores import scores
from architrave.sparsity.activations.counts import Activities, activities
from architrave.sparsity.activations.scap import Shares, scap
from architrave.train.data import Dataset

Begin = Callable[[str, int], Callable[[int], object]]
"""Told of a stage of the work and how many parts it has; what it gives is told how many more are done."""


@dataclass(frozen=True)
class Look:
    """How a network is looked at: by so many examples, so many at once, on a backend."""

    examples: int = 64
    batch: int = 4
    backend: str = "torch"
    only: str = ""

    @property
    def select(self) -> Select:
        """Which activations, or layers, it is about. Raises E805."""
        return Select.parse(self.only)


@dataclass(frozen=True)
class SparseInputs:
    """A network of which `seen` says what is 0 on examples, and its weights.

    `before` and `after` are scores on examples with labels, and empty without. `costs` are the multiply-adds of one
    example, all and those that are left where zeros are skipped.
    """

    network: Graph
    graph: Graph
    weights: Mapping[str, Array]
    seen: Activities
    costs: tuple[int, int]
    before: Mapping[str, float]
    after: Mapping[str, float]


def probed(
    network: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    look: Look,
    *,
    begin: Begin = lambda stage, count: silent,
) -> SparseInputs:
    """What is 0 in a network as it is. Raises E915 for examples that do not fit, and what `activities` does."""
    check_examples(network, data)
    batches = drawn_batches(data, look.examples, look.batch)
    progress = begin("counting zeros", look.examples)
    seen = activities(network, weights, batches, only=look.select, backend=look.backend, progress=progress)
    return SparseInputs(network, network, weights, seen, _costs(seen, data), {}, {})


def sparse_inputs(
    network: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    look: Look,
    shares: Shares,
    *,
    test: Dataset | None = None,
    centre: bool = True,
    begin: Begin = lambda stage, count: silent,
) -> SparseInputs:
    """The network in inference whose fully connected layers take a share of their inputs for 0: see `scap`.

    `test` are the examples to score on, by default `data`. Raises E915 for examples that do not fit, and what `scap`
    does.
    """
    check_examples(network, data)
    plain = apply(network, "inference")
    made = Pipeline((Scap(look.select),)).run(plain.graph)
    batches, told = drawn_batches(data, look.examples, look.batch), test or data
    held = made.weights(plain.weights(weights))
    progress = begin("observing inputs", 3 * look.examples)
    chosen = scap(made.graph, held, batches, shares, centre=centre, backend=look.backend, progress=progress)
    progress = begin("counting zeros", look.examples)
    seen = activities(made.graph, chosen, batches, backend=look.backend, progress=progress)
    final = apply(made.graph, "skip-zeros,hoist")

    def scored(what: str, graph: Graph, weights: Mapping[str, Any]) -> dict[str, float]:
        return scores(graph, weights, told, backend=look.backend, progress=begin(f"scoring {what}", len(told)))

    before, after = scored("the network", network, weights), scored("the new network", made.graph, chosen)
    return SparseInputs(network, final.graph, final.weights(chosen), seen, _costs(seen, data), before, after)


def _costs(seen: Activities, data: Dataset) -> tuple[int, int]:
    sizes = sizes_of(seen.graph, [x[:1].shape for x in data.inputs])
    whole, left = seen.multiply_adds(sizes)
    return int(str(whole)), int(str(left))
