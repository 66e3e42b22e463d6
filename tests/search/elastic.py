"""Spaces whose members are slices of the largest."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.ir.arrays import Array
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.supernet.slices import Slices

IMAGES = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Unit(width: int, kernel: int)(x: [N, C, H, W]) -> [N, C, H, W] {
    y = x -> expand: conv2d(width, 1, bias = false) -> norm1: batch_norm -> relu
          -> mix: conv2d(width, kernel, groups = width, bias = false) -> norm2: batch_norm -> relu
          -> project: conv2d(C, 1, bias = false) -> norm3: batch_norm
    return x + y
}

model Images(classes: int = 4)(image: [N, 3, 8, 8]) -> [N, classes] {
    width = choice width { narrow: 4, wide: 8 }
    depth = choice depth { one: 1, two: 2, three: 3 }
    x = image -> stem: conv2d(width, 3) -> stem_norm: batch_norm -> relu
    for i in 0..depth {
        kernel = choice kernel[i] { k3: 3, k5: 5 }
        ratio = choice ratio[i] { r1: 1, r2: 2 }
        x = x -> layer[i]: Unit(ratio * width, kernel)
    }
    return x -> global_avg_pool -> head: linear(classes)
}
"""
"""Width, depth, expansion and kernels, as of BigNAS."""

TOKENS = """
from std.attention import attention, join_heads, split_heads
from std.combine import mlp
from std.linear import linear
from std.norm import layer_norm

block Attention(heads: int, width: int)(x: [N, T, C]) -> [N, T, C] {
    (q, k, v) = split(x -> qkv: linear(3 * heads * width), 3, axis = -1)
    y = attention(q -> split_heads(heads), k -> split_heads(heads), v -> split_heads(heads)) -> join_heads
    return y -> out: linear(C)
}

block Layer(heads: int, ratio: int)(x: [N, T, C]) -> [N, T, C] {
    x = x + (x -> norm1: layer_norm -> attention: Attention(heads, 4))
    return x + (x -> norm2: layer_norm -> mlp: mlp(ratio * C))
}

model Tokens(classes: int = 4)(x: [N, 5, 6]) -> [N, classes] {
    width = choice width { w8: 8, w12: 12, w16: 16 }
    depth = choice depth { one: 1, two: 2, three: 3 }
    x = x -> embed: linear(width)
    param position: [1, 5, width] = normal(1.0)
    x = x + position
    for i in 0..depth {
        heads = choice heads[i] { h1: 1, h2: 2, h3: 3 }
        ratio = choice ratio[i] { r1: 1, r2: 2 }
        x = x -> layer[i]: Layer(heads, ratio)
    }
    return mean(x -> norm: layer_norm, axis = 1) -> head: linear(classes)
}
"""
"""Embedding, heads, ratio and depth, as of ViT-ResNAS and AutoFormer."""


def slices(text: str, **arguments: Any) -> Slices:
    """The slices of a space that is given as text."""
    return Slices(Costs(find_in_text(text), arguments, {"N": 1}))


def drawn(found: Slices, seed: int = 0) -> dict[str, Array]:
    """Weights of the largest member, none of them zero, and variances above it, in float64."""
    rng: Any = np.random.default_rng(seed)
    arrays = {path: np.shape(w) for path, w in architrave.init(found.graph).items()}
    normal = {path: rng.standard_normal(shape) for path, shape in arrays.items()}
    return {path: np.abs(w) + 0.5 if path.endswith("_var") else 0.5 * w for path, w in normal.items()}


def output(graph: architrave.Graph, weights: dict[str, Array], x: Array) -> Array:
    """What a network gives in inference."""
    return architrave.interpret(graph, [x], weights).outputs[0]
