"""Gradients by whole weights, where masks hide them, too: they say which number would help most, if it were there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.types import TensorType
from architrave.passes import apply
from architrave.record.gradients import Gradients
from architrave.sparsity.masks.masked import layers, masks, with_masks
from architrave.train import Objective


class Slopes:
    """The gradients of a loss by the weights of a network that have masks, in training mode. They are compiled once.

    A batch is the inputs and the target, if the loss has one.
    """

    def __init__(self, network: Graph, objective: Objective, target: TensorType | None, backend: str = "torch") -> None:
        """Raises E924 for a network without masks, and what `Objective.attached` does."""
        self.network = network
        loss = objective.attached(apply(network, "bake-masks").graph, target)
        self.gradients = Gradients(loss, [layer.path for layer in layers(network)], backend, training=True)

    def mean(
        self, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], key: tuple[int, int] = (0, 0)
    ) -> dict[str, Array]:
        """The mean over batches, for the numbers that masks leave. Raises E912 for none, E911 for NaN or infinity."""
        return self.gradients.mean(self._masked(weights), batches, key=key)

    def products(
        self, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], directions: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The mean product of the Hessian with directions. Raises what `mean` does."""
        return self.gradients.products(self._masked(weights), batches, directions)

    def _masked(self, weights: Mapping[str, Any]) -> dict[str, Array]:
        return with_masks(self.network, weights, masks(self.network, weights))
