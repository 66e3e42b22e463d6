"""Masks among the weights of a network with the pass `mask`: reading them, setting them, counting what they leave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.ir.types import shape_text
from architrave.passes.sparsify.mask import MaskSite, mask_sites
from architrave.passes.sparsify.uses import Axes

Masks = Mapping[str, Array]
"""Truth values by the path of the weight that they are for."""


@dataclass(frozen=True)
class Layer:
    """A weight with a mask, and along which axes its inputs and outputs lie where the network tells."""

    site: MaskSite
    axes: Axes | None

    @property
    def path(self) -> str:
        """The path of the weight."""
        return self.site.path

    @property
    def mask(self) -> str:
        """The path of its mask."""
        return self.site.mask_path

    @property
    def shape(self) -> tuple[int, ...]:
        return self.site.shape

    @property
    def size(self) -> int:
        """How many numbers the weight has."""
        return math.prod(self.shape)


def layers(graph: Graph) -> list[Layer]:
    """Every weight of a network that has a mask, in the order of the weights. Raises E924 where none has."""
    found = [Layer(site, site.use(graph).axes) for site in mask_sites(graph)]
    if not found:
        hint = "apply the pass `mask` first; it takes weights of convolutions, linear layers and products of matrices"
        raise error("E924", f"no weight of `{graph.name}` has a mask", hint=hint)
    return found


def masks(graph: Graph, weights: Mapping[str, Any]) -> dict[str, Array]:
    """The masks among the weights of a network, by the paths of what they mask. Raises E924 where they do not fit."""
    return {layer.path: _fitting(layer, weights.get(layer.mask)) for layer in layers(graph)}


def with_masks(graph: Graph, weights: Mapping[str, Any], new: Masks) -> dict[str, Array]:
    """The weights with other masks, and with 0 where these are false. Weights that `new` lacks keep what they have.

    Raises E924 for masks that do not fit, or of a weight that has none.
    """
    by_path = {layer.path: layer for layer in layers(graph)}
    stranger = next((path for path in new if path not in by_path), None)
    if stranger is not None:
        raise error("E924", f"`{printable(stranger)}` is no weight with a mask in `{graph.name}`")
    found = {path: np.asarray(w) for path, w in weights.items()}
    for path, mask in new.items():
        layer = by_path[path]
        found[layer.mask] = _fitting(layer, mask)
        found[path] = np.where(found[layer.mask], found[path], 0).astype(found[path].dtype)
    return found


def kept(masks: Masks) -> int:
    """How many numbers masks leave."""
    return sum(int(np.count_nonzero(mask)) for mask in masks.values())


def density(masks: Masks) -> float:
    """The share of all numbers that masks leave."""
    return kept(masks) / max(1, sum(mask.size for mask in masks.values()))


def _fitting(layer: Layer, mask: Any) -> Array:
    if mask is None:
        raise error("E924", f"the mask of `{layer.path}` is missing: there is no `{layer.mask}`")
    array = np.asarray(mask)
    if array.dtype != np.bool_ or array.shape != layer.shape:
        is_what = f"{array.dtype} {shape_text(array.shape)}"
        raise error("E924", f"the mask of `{layer.path}` is {is_what}, not bool {shape_text(layer.shape)}")
    return array
