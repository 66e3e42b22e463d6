"""How fast layers with weights of few bits are at batch 1, beside the same layers in float32: ratios in one run.

    python benchmarks/weight_only.py [BACKEND ...]

Above 1 is faster than float32. `in turn` are layers of 128 MB of float32 weights, one after the other as in a language
model, so that weights come from memory; `again` is one layer over and over, whose weights may stay in a cache. For
groups of 128 inputs, with symmetric codes, on one thread: set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import cycle

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.passes import apply

LAYER = "from std.linear import linear\nmodel Layer(out: int, size: int)(x: [N, size]) = x -> layer: linear(out)"
SHAPES = {
    "4096 -> 4096": (4096, 4096),
    "GPT-2, 768 -> 2304": (2304, 768),
    "GPT-2, 768 -> 768": (768, 768),
    "GPT-2, 768 -> 3072": (3072, 768),
    "GPT-2, 3072 -> 768": (768, 3072),
}
BYTES = 1 << 27
ROUNDS = 7


def layers(graph: Graph, weights: dict[str, np.ndarray], backend: str, count: int) -> list[Callable[[], object]]:
    """Layers that each have weights of their own, as calls of what was emitted."""
    program, x = architrave.compile(graph, backend), np.ones((1, graph.inputs[0].shape[1]), np.float32)
    if backend != "torch":
        sessions = [program.session({k: w.copy() for k, w in weights.items()}, x) for _ in range(count)]
        return [lambda session=session: session.run([x], (0, 1)) for session in sessions]  # type: ignore[misc]
    import torch

    tensor = torch.from_numpy(x)
    modules = [program.session(weights, x).model for _ in range(count)]  # type: ignore[attr-defined]  # PyTorch's has one
    return [torch.no_grad()(lambda module=module: module(tensor)) for module in modules]


def seconds(calls: list[Callable[[], object]]) -> float:
    """The least time of a call, when all take turns, over some rounds."""
    turns = cycle(calls)
    spent: list[float] = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(max(len(calls), 20)):
            next(turns)()
        spent.append((time.perf_counter() - start) / max(len(calls), 20))
    return min(spent)


def compare(backend: str, name: str, out: int, size: int) -> None:
    """Print a line for each width."""
    graph = architrave.loads(LAYER, out=out, size=size)
    weights = architrave.init(graph)
    count = -(-BYTES // (4 * out * size))
    many = layers(graph, weights, backend, count)
    for bits in (8, 4, 2):
        made = apply(graph, f"weight-only{{bits={bits}}}")
        ours = layers(made.graph, dict(made.weights(weights)), backend, count)
        seconds(ours)  # the first call of each prepares it
        turn, again = ((seconds(a), seconds(b)) for a, b in ((many, ours), (many[:1], ours[:1])))
        shown = ", ".join(
            f"{label} {before / after:5.2f} x ({before * 1e6:7.0f} -> {after * 1e6:7.0f} us)"
            for label, (before, after) in (("in turn", turn), ("again", again))
        )
        print(f"{backend:6} {name:20} {bits} bits: {shown}", flush=True)


def main(backends: list[str]) -> None:
    for backend in backends:
        for name, (out, size) in SHAPES.items():
            compare(backend, name, out, size)


if __name__ == "__main__":
    main(sys.argv[1:] or ["torch", "numpy", "jax"])
