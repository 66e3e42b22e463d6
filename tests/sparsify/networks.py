"""Networks with masks, for the tests of sparsity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.passes import apply

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

SMALL = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Small()(image: [N, 4, 8, 8]) -> [N, 10] {
    x = image -> conv1: conv2d(8, 3, bias = false) -> bn: batch_norm -> relu -> conv2: conv2d(16, 1)
    return x -> global_avg_pool -> fc: linear(32) -> relu -> head: linear(10)
}
"""


def masked(network: Graph | str, seed: int = 0) -> tuple[Graph, dict[str, Any]]:
    """A network with masks that are true everywhere, and its first weights."""
    graph = architrave.loads(network) if isinstance(network, str) else network
    made = apply(graph, "mask")
    return made.graph, made.weights(architrave.init(graph, seed))


def digits(name: str) -> Graph:
    """A network of examples/digits."""
    return architrave.load(DIGITS / f"{name}.arch")


def hidden(graph: Graph, weights: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """What is stored of each weight where its mask is false."""
    from architrave.sparsity.masks.masked import masks

    return {path: np.asarray(weights[path])[~mask] for path, mask in masks(graph, weights).items()}
