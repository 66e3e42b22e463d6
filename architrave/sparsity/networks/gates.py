"""Matrices of recurrent layers made sparse one by one: those of inputs, of hidden states, of single gates.

Darji, "Investigating Sparsity in Recurrent Neural Networks" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.sparsity.masks.masked import layers, with_masks


def prune_matrices(
    graph: Graph,
    weights: Mapping[str, Any],
    share: float,
    only: str = "*",
    *,
    gates: int = 1,
    among: Collection[int] | None = None,
) -> dict[str, Array]:
    """The weights under masks that hide the smallest numbers of each matrix whose path matches: `"*.weight_hh"`.

    Exactly `floor(share * size)` of a matrix, of equals the first. With `gates` so many matrices lie one above another
    in a weight, as in `std.recurrent`, and each loses its share; `among` names those that lose any. `graph` has masks
    (the pass `mask`); what was hidden before is shown again. Raises E924 without masks, E925 for a share beyond 0 to 1,
    gates that do not divide a weight, and where no path matches.
    """
    if not 0 <= share <= 1:
        raise error("E925", f"a share is between 0 and 1, not {share:g}")
    chosen = [layer for layer in layers(graph) if fnmatchcase(layer.path, only)]
    if not chosen:
        paths = ", ".join(layer.path for layer in layers(graph)[:5])
        raise error("E925", f"no weight with a mask matches `{only}`", hint=f"there are {paths}")
    new: dict[str, Array] = {}
    for layer in chosen:
        weight = np.asarray(weights[layer.path], np.float64)
        if gates < 1 or len(weight) % gates:
            raise error("E925", f"`{layer.path}` has {len(weight)} rows, which are not {gates} gates")
        parts = np.split(weight, gates)
        hidden = (share if among is None or gate in among else 0.0 for gate in range(gates))
        new[layer.path] = np.concatenate([_largest(part, each) for part, each in zip(parts, hidden, strict=True)])
    return with_masks(graph, weights, new)


def _largest(matrix: Array, share: float) -> Array:
    """Which numbers stay where the smallest are hidden."""
    hidden = math.floor(Fraction(str(share)) * matrix.size)
    mask: Array = np.ones(matrix.size, bool)
    mask[np.argsort(np.abs(matrix), axis=None, kind="stable")[:hidden]] = False
    return mask.reshape(matrix.shape)
