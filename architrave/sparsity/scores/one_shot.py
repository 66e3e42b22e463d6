"""A trained network made sparse at once: masks, what they leave, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.passes import Pipeline, Select
from architrave.passes.sparsify.mask import BakeMasks, Mask, mask_sites
from architrave.record.recorder import silent
from architrave.record.scores import scores
from architrave.sparsity.masks.pattern import NM
from architrave.sparsity.masks.permute import Permuted, permuted
from architrave.sparsity.masks.sizes import Sizes, sizes
from architrave.sparsity.scores.methods import METHODS, check_method
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train.data import Dataset

Begin = Callable[[str, int], Callable[[int], object]]
"""Told of a stage of the work and how many parts it has; what it gives is told how many more are done."""
UNCHOSEN = "it is not among those chosen"


@dataclass(frozen=True)
class Sparse:
    """A network with sparse weights. Without masks it is the network that it was, with zeros among its weights.

    `layers` are its matrices and kernels, `permuted` the channels that have another order, and `refused`
    the weights that stay dense, by path, with the reason. `before` and `after` are scores on examples with labels.
    """

    plan: Plan
    network: Graph
    graph: Graph
    weights: Mapping[str, Array]
    layers: list[Sizes]
    permuted: Sequence[Permuted]
    refused: Mapping[str, str]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def chosen(self) -> list[Sizes]:
        """The matrices and kernels that have lost numbers."""
        return [layer for layer in self.layers if layer.path not in self.refused]

    @property
    def size(self) -> int:
        """The numbers of all matrices and kernels."""
        return sum(layer.size for layer in self.layers)

    @property
    def nonzeros(self) -> int:
        """Those of them that are not 0."""
        return sum(layer.nonzeros for layer in self.layers)

    @property
    def density(self) -> float:
        """The share of them that are not 0."""
        return self.nonzeros / max(1, self.size)

    @property
    def empty(self) -> list[str]:
        """The weights of which nothing is left: what comes after them no longer depends on the inputs through them."""
        return [layer.path for layer in self.layers if not layer.nonzeros]


def masked(network: Graph, weights: Mapping[str, Any], only: str = "") -> tuple[Graph, dict[str, Array]]:
    """A network with masks that are true everywhere, and its weights with them. Raises E924 where nothing has one."""
    step = Mask(Select.parse(only) if only else Select())
    made = Pipeline((step,)).run(network)
    if not mask_sites(made.graph):
        hint = "it takes a convolution, a linear layer or a product of matrices whose weight nothing else takes"
        raise error("E924", f"nothing in `{network.name}` can be masked", hint=hint)
    return made.graph, made.weights(weights)


def sparsify(
    network: Graph,
    weights: Mapping[str, Any],
    plan: Plan,
    data: Dataset | None = None,
    *,
    test: Dataset | None = None,
    keep_masks: bool = False,
    begin: Begin = lambda stage, count: silent,
) -> Sparse:
    """Make a trained network sparse. `data` is for methods that need examples, `test` to score on: by default `data`.

    With `keep_masks` they stay in the network, so that training goes on with the same zeros. Raises E924 to E927 for
    what cannot be: see `Plan`, `select` and the method.
    """
    check_method(plan.method)
    share = plan.share
    ordered, moved = _ordered(network, weights, plan)
    graph, held = masked(network, ordered, plan.only)
    task = Task(graph, held, plan, data)
    begin(f"choosing {share:.1%} of the weights ({plan.method})", len(task.layers))
    chosen = METHODS[plan.method](task)
    baked = Pipeline((BakeMasks(),)).run(graph)
    plain = baked.weights(chosen)
    after, final = (graph, chosen) if keep_masks else (baked.graph, plain)
    told = test or data

    def scored(what: str, graph: Graph, weights: Mapping[str, Any]) -> dict[str, float]:
        if told is None:
            return {}
        return scores(graph, weights, told, backend=plan.backend, progress=begin(f"scoring {what}", len(told)))

    found = sizes(baked.graph, plain)
    sparse_ones = {layer.path for layer in task.layers}
    dense = {layer.path: layer.reason or UNCHOSEN for layer in found if layer.path not in sparse_ones}
    return Sparse(
        plan,
        network,
        after,
        final,
        found,
        moved,
        {**dense, **task.refused},
        scored("the dense network", network, weights),
        scored("the sparse network", baked.graph, plain),
    )


def _ordered(network: Graph, weights: Mapping[str, Any], plan: Plan) -> tuple[Mapping[str, Any], Sequence[Permuted]]:
    """The weights with channels in the order that suits the pattern, where the plan asks for that. Raises E926."""
    if not plan.permute:
        return weights, ()
    if not isinstance(plan.pattern, NM):
        raise error("E926", f"channels are permuted for patterns such as `2:4`, not for `{plan.pattern}`")
    return permuted(network, weights, plan.pattern)
