"""GPTQ: weights are rounded one input after another, and those behind make up for the error.

Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers" (2023). Arrays alone: `layerwise` runs it over a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.quantize.grid import Grid
from architrave.record.compensate import compensated


@dataclass(frozen=True)
class GPTQ:
    """`damping` is the share of the mean curvature that is added to each; `block` inputs are done before the rest.

    With `ordered` the inputs of the largest curvature come first (act-order), while each is still free to be made up
    for. Scales are those of the grid: they do not change with what is made up.
    """

    damping: float = 0.01
    block: int = 128
    ordered: bool = False

    def rounded(self, weight: Array, hessian: Array, grid: Grid) -> Array:
        """A weight [O, I] on its grid, of which `x @ weight.T` stays near, for inputs with `hessian` [I, I] = x' x.

        Computed in float64; the result is float32. Raises E911 for a curvature that is not finite.
        """
        order = np.argsort(-np.diag(hessian), kind="stable") if self.ordered else np.arange(len(hessian))
        grid = grid.spread(weight.shape, weight.shape).columns(order)

        def nearest(i: int, left: Array, _: Array) -> Array:
            return grid.columns(slice(i, i + 1)).nearest(left[:, i : i + 1])[:, 0].astype(np.float32)

        done = compensated(weight[:, order], hessian[np.ix_(order, order)], nearest, self.damping, self.block)
        return done[:, np.argsort(order)].astype(np.float32)


def loss(weight: Array, rounded: Array, hessian: Array) -> float:
    """The sum of the squares of what rounding changes in `x @ weight.T`, for `hessian` = x' x."""
    change = (weight - rounded).astype(np.float64)
    return float(np.einsum("oi,ij,oj->", change, hessian.astype(np.float64), change))
