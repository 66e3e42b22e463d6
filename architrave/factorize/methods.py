"""What each method can cut a layer down to, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from architrave.factorize.allocate import Choices
from architrave.factorize.layers import Extent
from architrave.factorize.spectra import Measure, losses, norm, singular_values
from architrave.ir.arrays import Array
from architrave.passes.factorize.alds import Alds
from architrave.passes.factorize.chain import Factorization, Layer
from architrave.passes.factorize.cp import Cp
from architrave.passes.factorize.ranks import Rank
from architrave.passes.factorize.svd import Svd
from architrave.passes.factorize.tucker import Tucker
from architrave.passes.options import with_options

SLICES = 16
"""The most slices of input channels that are tried."""

Errors: TypeAlias = Callable[[Layer, Array, Measure], tuple[Array, Array]]
"""The ranks [n, d] that a weight in float64 can be cut down to, and the relative error of each [n]."""


@dataclass(frozen=True)
class Method:
    """A way to take layers apart: by which pass, which layers it takes, its ranks with their errors, its costs.

    `cost` is what the chain of a rank costs where its maps run. `measures` are the errors it can tell, none for a
    method that tells the share that is left out instead.
    """

    step: Factorization
    takes: Callable[[Layer], bool]
    errors: Errors
    cost: Callable[[Layer, Rank, Extent], int]
    measures: tuple[Measure, ...] = ("spectral", "energy")

    def choices(self, layer: Layer, weight: Array, extent: Extent, measure: Measure | None) -> Choices:
        """What a layer can be cut down to. The weight is [O, C / groups, *K], float64.

        Without a measure the error is the share that is left out, so that all layers keep one share of what they have.
        """
        ranks, errors = self.errors(layer, weight, measure or "energy")
        sizes = np.array([self.cost(layer, tuple(map(int, rank)), extent) for rank in ranks], np.int64)
        dense = dense_cost(layer, extent)
        if measure is None:
            errors = 1.0 - sizes / max(dense, 1)
        return Choices.of(dense, sizes, errors, ranks)


def method_for(name: str, layer: Layer) -> Method:
    """The method of a name; for what it does not take, singular values."""
    return METHODS[name] if METHODS[name].takes(layer) else METHODS["svd"]


def dense_cost(layer: Layer, extent: Extent) -> int:
    """What the layer costs as it is."""
    return math.prod(layer.sizes) * extent.behind


def _by_outputs(layer: Layer, weight: Array, measure: Measure) -> tuple[Array, Array]:
    groups = layer.window.groups
    return _of_groups(weight.reshape(groups, layer.outputs // groups, -1), measure)


def _by_columns(layer: Layer, weight: Array, measure: Measure) -> tuple[Array, Array]:
    groups, column = layer.window.groups, layer.kernel[0]
    parted = weight.reshape(groups, layer.outputs // groups, layer.inputs, column, -1).transpose(0, 2, 3, 1, 4)
    return _of_groups(parted.reshape(groups, layer.inputs * column, -1), measure)


def _of_groups(matrices: Array, measure: Measure) -> tuple[Array, Array]:
    """Groups see other channels: the whole is block diagonal, whose norm is the largest of its blocks."""
    values = singular_values(matrices)
    found = losses(values, norm(values, measure), measure)
    bound = np.sqrt(len(values)) if measure == "spectral" else 1.0
    return np.arange(1, len(found) + 1)[:, None], found / bound


def _by_slices(layer: Layer, weight: Array, measure: Measure) -> tuple[Array, Array]:
    ranks: list[Array] = []
    errors: list[Array] = []
    whole = norm(singular_values(weight.reshape(1, layer.outputs, -1)), measure)
    for slices in (k for k in range(1, min(SLICES, layer.inputs) + 1) if layer.inputs % k == 0):
        parted = weight.reshape(layer.outputs, slices, -1).transpose(1, 0, 2)
        found = losses(singular_values(parted), whole, measure)
        ranks.append(np.stack([np.full(len(found), slices), np.arange(1, len(found) + 1)], axis=1))
        errors.append(found)
    return np.concatenate(ranks), np.concatenate(errors)


def _by_channels(layer: Layer, weight: Array, measure: Measure) -> tuple[Array, Array]:
    """For each loss that one side may have, the rank of both that has it: the bound of HOSVD, and a line of choices."""
    kernel = weight.reshape(layer.outputs, layer.inputs, -1)
    sides = [
        singular_values(kernel.transpose(1, 0, 2).reshape(1, layer.inputs, -1)),
        singular_values(kernel.reshape(1, layer.outputs, -1)),
    ]
    whole = norm(sides[1], "energy")
    tails = [losses(values, whole, "energy") for values in sides]
    levels = np.unique(np.concatenate(tails))
    ranks = np.stack([np.searchsorted(-tail, -levels) + 1 for tail in tails], axis=1)
    lost = np.hypot(tails[0][ranks[:, 0] - 1], tails[1][ranks[:, 1] - 1])
    # The pass leaves no more channels on one side than the other side and the taps can make.
    few, many = ranks[:, 0], ranks[:, 1]
    possible = (many <= few * layer.taps) & (few <= many * layer.taps)
    return ranks[possible], lost[possible]


def _by_share(layer: Layer, weight: Array, measure: Measure) -> tuple[Array, Array]:
    most = math.prod(layer.sizes) // sum(layer.sizes)
    return np.arange(1, max(most, 1) + 1)[:, None], np.zeros(max(most, 1))


def _has_taps(layer: Layer) -> bool:
    return layer.taps > 1 and layer.window.groups == 1


def _cp_cost(layer: Layer, rank: Rank, at: Extent) -> int:
    axes = sum(k * at.between(i + 1) for i, k in enumerate(layer.kernel))
    return rank[0] * (layer.inputs * at.before + axes + layer.outputs * at.behind)


def _columns_cost(layer: Layer, rank: Rank, at: Extent) -> int:
    column = layer.window.groups * layer.inputs * layer.kernel[0] * at.between(1)
    return rank[0] * (column + layer.outputs * layer.taps // layer.kernel[0] * at.behind)


def _step(kind: type[Factorization], **options: str) -> Factorization:
    made = with_options(kind, options)
    assert isinstance(made, Factorization)
    return made


METHODS: Mapping[str, Method] = {
    "svd": Method(
        _step(Svd),
        lambda layer: True,
        _by_outputs,
        lambda layer, rank, at: rank[0] * at.behind * (layer.window.groups * layer.inputs * layer.taps + layer.outputs),
    ),
    "spatial": Method(
        _step(Svd, form="spatial"), lambda layer: len(layer.kernel) > 1 and layer.taps > 1, _by_columns, _columns_cost
    ),
    "alds": Method(
        _step(Alds),
        lambda layer: layer.window.groups == 1,
        _by_slices,
        lambda layer, rank, at: rank[1] * at.behind * (layer.inputs * layer.taps + rank[0] * layer.outputs),
    ),
    "tucker": Method(
        _step(Tucker),
        _has_taps,
        _by_channels,
        lambda layer, rank, at: (
            rank[0] * layer.inputs * at.before + rank[1] * (rank[0] * layer.taps + layer.outputs) * at.behind
        ),
        ("energy",),
    ),
    "cp": Method(_step(Cp), _has_taps, _by_share, _cp_cost, ()),
}
"""Every method by its name. What one does not take, `svd` does."""
