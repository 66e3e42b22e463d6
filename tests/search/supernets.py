"""A small space of images, and supernets of it that are compared with their members."""

from __future__ import annotations

from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.models import find_in_text
from architrave.search.supernet.child import Supernet, child

SPACE = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block conv_norm(kernel: int)(x: [N, C, H, W]) -> [N, C, H, W] {
    return x -> conv: conv2d(C, kernel, bias = false) -> norm: batch_norm -> relu
}

block twice()(x: [N, C, H, W]) -> [N, C, H, W] {
    return x -> choice first { three: conv_norm(3), none: identity } -> second: conv_norm(1)
}

model Small()(image: [N, 1, 5, 5]) -> [N, 3] {
    x = image -> stem: conv2d(4, 3) -> norm: batch_norm
    y = x -> choice op[0] { three: conv_norm(3), one: conv_norm(1), two: twice, skip: identity }
    z = y -> choice op[1] { three: conv_norm(3), one: conv_norm(1), skip: identity }
    w = choice source { last: z, first: x }
    return w -> global_avg_pool -> head: linear(3)
}
"""
MEMBERS = (
    {"op.0": "three", "op.1": "one", "source": "last"},
    {"op.0": "two", "op.0.two.first": "three", "op.1": "skip", "source": "last"},
    {"op.0": "one", "op.1": "three", "source": "first"},
)
RNG: Any = np.random.default_rng(0)
IMAGES = RNG.normal(size=(6, 1, 5, 5))
LABELS = np.arange(6) % 3


def space() -> Graph:
    """The graph of the space, which keeps its choices."""
    return find_in_text(SPACE).elaborate({}, keep_choices=True).graph


def drawn(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """Weights in float64, of which none is like another."""
    rng: Any = np.random.default_rng(seed)
    first = architrave.init(graph, seed, "float64")
    return {path: w if w.dtype.kind == "i" else w + 0.1 * rng.random(w.shape) for path, w in first.items()}


def assert_equal_to_its_members(supernet: Supernet, members: Any = MEMBERS, inputs: Any = IMAGES) -> None:
    """Outputs and new states of each member, in float64 and in both modes, by itself and as it is read back."""
    weights = drawn(supernet.graph)
    for member in members:
        held = {**weights, **supernet.setting(member)}
        cut = child(supernet, held, member)
        again = architrave.loads(cut.text())
        for training in (False, True):
            whole = architrave.interpret(supernet.graph, [inputs], held, training)
            alone = architrave.interpret(cut.graph, [inputs], cut.weights, training)
            read = architrave.interpret(again, [inputs], cut.weights, training)
            np.testing.assert_allclose(whole.outputs[0], alone.outputs[0], rtol=0, atol=1e-10)
            np.testing.assert_array_equal(alone.outputs[0], read.outputs[0])
            for path, state in alone.updates.items():
                np.testing.assert_allclose(whole.updates[path], state, rtol=0, atol=1e-10)
