"""Small networks that are quantized in tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.passes import apply

CONVS = """
from std.conv import conv2d
from std.linear import linear

model Net()(image: [N, 3, 8, 8]) -> [N, 5] {
    x = image -> stem: conv2d(16, 3) -> relu
    y = x -> one: conv2d(16, 3, groups = 4) -> relu
    z = x -> two: conv2d(16, 1)
    w = y + z -> three: conv2d(16, 3, stride = 2, dilation = 2) -> relu
    return w -> flatten -> mid: linear(32) -> relu -> head: linear(5)
}
"""
TOKENS = """
from std.attention import self_attention
from std.combine import mlp
from std.linear import embedding, linear
from std.norm import layer_norm

block Layer(heads: int)(x: [N, T, C]) -> [N, T, C] {
    x = x + (x -> norm1: layer_norm -> attention: self_attention(heads, causal = true))
    return x + (x -> norm2: layer_norm -> mlp: mlp(4 * C))
}

model Tokens(vocab: int = 12, width: int = 16)(text: i64[N, T]) -> [N, T, vocab] {
    x = text -> token: embedding(vocab, width)
    for i in 0..2 { x = x -> layer[i]: Layer(2) }
    return x -> norm: layer_norm -> head: linear(vocab, bias = false)
}
"""


def convs() -> tuple[Graph, dict[str, Any], list[tuple[Any, ...]]]:
    """A network of convolutions with its weights, and images for it."""
    graph = apply(architrave.loads(CONVS), "inference,clean").graph
    rng = np.random.default_rng(0)
    # Images are smooth: what neighbours have in common is what methods can make up errors with.
    images = [rng.normal(size=(8, 3, 8, 8)).cumsum(2).cumsum(3).astype(np.float32) / 8 for _ in range(4)]
    return graph, architrave.init(graph), [(x,) for x in images]


def tokens() -> tuple[Graph, dict[str, Any], list[tuple[Any, ...]]]:
    """A small transformer with its weights, and tokens for it."""
    graph = apply(architrave.loads(TOKENS), "inference,clean").graph
    rng = np.random.default_rng(1)
    return graph, architrave.init(graph), [(rng.integers(0, 12, (4, 10)),) for _ in range(4)]


def error(graph: Graph, weights: dict[str, Any], like: Graph, exact: dict[str, Any], batches: Any) -> float:
    """The mean square of the difference of two networks."""
    mine, other = architrave.compile(graph, "numpy"), architrave.compile(like, "numpy")
    return float(np.mean([np.mean((mine(weights, *x) - other(exact, *x)) ** 2) for x in batches]))
