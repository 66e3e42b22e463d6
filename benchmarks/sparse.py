"""How fast layers are of which a tenth of the weights is not 0, beside the same layers as dense code.

    python benchmarks/sparse.py [BACKEND ...]

Above 1 is faster than dense. Both forms take turns in one run, and medians are compared; weights take turns, too, so
that they come from where they would in a network of 32 MB and more. `emitted` is what `sparse_execution` gives the
layer by such times. The goal is to be faster than dense on two backends at least. On one thread: set OMP_NUM_THREADS=1,
OPENBLAS_NUM_THREADS=1 and MKL_NUM_THREADS=1, and run it under `taskset -c 0`, since XLA starts threads of its own. What
counts is the time of the processor, so that other work on the machine does little harm.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial
from typing import Any

import numpy as np

import architrave
from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.passes import apply
from architrave.sparsity.execution.formats import Choice, sparse_execution
from architrave.sparsity.execution.timing import ROUNDS, seconds

DENSITY = 0.1
LINEAR = {"768 -> 768": (768, 768), "768 -> 3072": (3072, 768), "3072 -> 768": (768, 3072)}
POINTWISE = {"128 -> 256 at 28 x 28": (256, 128, 28), "512 -> 512 at 14 x 14": (512, 512, 14)}
BLOCKS = ((1, 1), (4, 1), (8, 1), (16, 16))
BATCHES = (1, 16, 128)
NETWORK_BYTES = 1 << 25
TIMER = partial(seconds, clock=time.process_time)

LAYER = "from std.linear import linear\nmodel Layer(o: int, i: int)(x: [N, i]) = x -> layer: linear(o, bias = false)"
CONVOLUTION = (
    "from std.conv import conv2d\n"
    "model Layer(o: int, i: int, s: int)(x: [N, i, s, s]) = x -> layer: conv2d(o, 1, bias = false)"
)


def pruned(out: int, inputs: int, high: int, wide: int) -> Array:
    """A random weight of which a tenth of the blocks is not 0."""
    rng: Any = np.random.default_rng(0)
    kept = rng.random((out // high, inputs // wide)) < DENSITY
    weight = rng.standard_normal((out, inputs)) * np.kron(kept, np.ones((high, wide)))
    single: Array = weight.astype(np.float32)
    return single


def compare(backend: str, name: str, text: str, weight: Array, batch: int, **sizes: Any) -> Choice:
    """Time one layer, say what came of it, and check that both forms give the same."""
    graph = architrave.loads(text, **sizes)
    weights = {"layer.weight": weight}
    found = sparse_execution(graph, weights, backend, sizes={"N": batch}, held=NETWORK_BYTES, timer=TIMER)
    (choice,) = found.choices
    times = choice.seconds
    ratios = ", ".join(
        f"{form:9} {times['dense'] / taken:5.2f} x ({1e6 * times['dense']:6.0f} -> {1e6 * taken:6.0f} us)"
        for form, taken in times.items()
        if form != "dense"
    )
    print(f"{backend:6} {name:22} batch {batch:3}: {ratios}  emitted: {choice.format}", flush=True)
    shape = [size if isinstance(size, int) else batch for size in graph.inputs[0].shape]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    dense, sparse = compile(graph, backend)(weights, x), compile(found.graph, backend)(found.weights, x)
    assert np.abs(dense - sparse).max() <= 1e-5 * np.abs(dense).max()
    return choice


def compare_network(backend: str) -> None:
    """Time MobileNetV1 for one image, with a tenth of the weights of its 1x1 convolutions."""
    made = apply(architrave.load("mobilenet_v1"), "deploy")
    rng: Any = np.random.default_rng(0)
    weights = made.weights(architrave.init(architrave.load("mobilenet_v1")))
    for path in (path for path in weights if path.endswith("pointwise.0.weight")):
        weights[path] = weights[path] * (rng.random(weights[path].shape) < DENSITY)
    found = sparse_execution(made.graph, weights, backend, timer=TIMER)
    image = rng.standard_normal((1, 3, 224, 224)).astype(np.float32)
    pairs = ((made.graph, weights), (found.graph, found.weights))
    sessions = [compile(graph, backend).session(held, image, training=False) for graph, held in pairs]
    spent: list[list[float]] = [[], []]
    for _ in range(1 + ROUNDS):
        for session, times in zip(sessions, spent, strict=True):
            begin = time.process_time()
            session.run([image], (0, 0))
            times.append(time.process_time() - begin)
    before, after = (statistics.median(times[1:]) for times in spent)
    kinds = [choice.format for choice in found.choices]
    stored = f"{sum(kind != 'dense' for kind in kinds)} of {len(kinds)} layers stored"
    print(f"{backend}: MobileNetV1 {before / after:.2f} x ({1e3 * before:.1f} -> {1e3 * after:.1f} ms), {stored}")


def main(backends: list[str]) -> None:
    single: dict[str, list[float]] = {}
    for backend in backends:
        for high, wide in BLOCKS:
            print(f"blocks of {high} x {wide}")
            for name, (out, inputs) in LINEAR.items():
                weight = pruned(out, inputs, high, wide)
                for batch in BATCHES:
                    choice = compare(backend, name, LAYER, weight, batch, o=out, i=inputs)
                    if (high, wide) == (1, 1):
                        single.setdefault(backend, []).append(choice.gain)
            if (high, wide) == (16, 16):
                continue
            for name, (out, channels, size) in POINTWISE.items():
                kernel = pruned(out, channels, high, wide).reshape(out, channels, 1, 1)
                compare(backend, name, CONVOLUTION, kernel, 1, o=out, i=channels, s=size)
    for backend in backends:
        compare_network(backend)
    for backend, gains in single.items():
        mean = float(np.exp(np.mean(np.log(gains))))
        faster = sum(gain > 1 for gain in gains)
        print(f"{backend}: faster in {faster} of {len(gains)} linear layers of single numbers, {mean:.2f} x on average")


if __name__ == "__main__":
    main(sys.argv[1:] or ["torch", "jax", "numpy"])
