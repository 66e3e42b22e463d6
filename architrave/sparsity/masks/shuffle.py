"""Masks at other positions: the densities of one method, and nothing else of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.sparsity.masks.masked import Masks


def shuffled(masks: Masks, seed: int = 0) -> dict[str, Array]:
    """As many numbers of each weight, at positions drawn from the seed.

    Liu and others, "The Unreasonable Effectiveness of Random Pruning" (2022), with the ratios of SNIP and GraSP.
    """
    rng: Any = np.random.default_rng(seed)
    return {path: rng.permutation(mask.ravel()).reshape(mask.shape) for path, mask in masks.items()}
