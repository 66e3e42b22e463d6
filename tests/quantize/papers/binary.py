"""Binary networks of a few blocks, for the tests of their papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret

Array = np.ndarray[Any, Any]

IMPORTS = """
from std.binary import bi_real, binary_conv, binary_linear, binary_weights, bnn, channel_mean, dorefa, fda, filter_mean
from std.binary import learned_scale, reactnet, recu, rprelu, tree_length, xnor, xnor_plus
from std.binary_signs import biper, clipped, fourier, instance_sign, periodic, quadratic, rectified, reste, root
from std.binary_signs import root_slope, rooted, shifted_sign
from std.conv import conv2d, global_avg_pool, max_pool
from std.linear import linear
from std.norm import batch_norm
from std.ternary import binary, elastic, ternary
"""


def network(body: str, inputs: str = "x: [N, 4]") -> Graph:
    """A model of one expression, or of a body in braces."""
    return architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) {body if body.startswith('{') else f'= {body}'}\n")


def drawn(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Random weights; variances are positive."""
    rng: Any = np.random.default_rng(seed)
    found = {path: rng.normal(size=array.shape) for path, array in architrave.init(graph).items()}
    return {path: np.exp(a) if path.endswith("_var") else a for path, a in found.items()}


def value(body: str, *inputs: Array, weights: Mapping[str, Array] | None = None, training: bool = False) -> Array:
    """What a model of tensors x, y, z gives, by the oracle."""
    named = zip("xyz", inputs, strict=False)
    graph = network(body, ", ".join(f"{name}: [{', '.join(map(str, a.shape))}]" for name, a in named))
    return interpret(graph, inputs, weights or {}, training).outputs[0]


def gradient(body: str, x: Array, cotangent: Array, weights: Mapping[str, Array] | None = None) -> Array:
    """The gradient of `sum(<expression in x, cotangent>)` by x, by the oracle."""
    graph = network(body, f"x: [{', '.join(map(str, x.shape))}]")
    return interpret(with_gradients(graph, graph.inputs), [x, cotangent], weights or {}).outputs[1]


def slopes(body: str, x: Array) -> dict[str, Array]:
    """The gradient of the sum of an expression in x: by the oracle, PyTorch and JAX in float64."""
    graph = network(body, f"x: [{', '.join(map(str, x.shape))}]")
    found = {"oracle": gradient(body, x, np.ones(x.shape))}
    for backend in ("torch", "jax"):
        (by_x,) = architrave.compile(graph, backend=backend).gradients({}, x).inputs
        assert by_x is not None
        found[backend] = by_x
    return found


def packed_product(a: Array, b: Array) -> Array:
    """`a @ b.T` of rows of -1 and 1, by XNOR and counting bits in bytes."""
    width = a.shape[-1]
    x, y = (np.packbits(rows > 0, axis=-1) for rows in (a, b))
    differing = np.bitwise_count(x[:, None] ^ y[None]).sum(-1, dtype=np.int64)
    return width - 2 * differing


def windows(x: Array, kernel: int) -> Array:
    """The windows of a valid convolution, as rows: [N, C, H, W] -> [N, h, w, C * kernel * kernel]."""
    cut = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return cut.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), *cut.shape[2:4], -1)
