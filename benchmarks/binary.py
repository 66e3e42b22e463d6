"""How fast layers of signs are, beside the same layers in float32: ratios in one run.

    python benchmarks/binary.py [BACKEND ...]

Above 1 is faster than float32. Both compute from floats: the signs of the input are found in each run, those of the
weight are bits already, or floats of -1 and 1. On one thread: set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import architrave
from architrave.passes import apply

LINEAR = """model Layer(rows: int, size: int, out: int)(x: [rows, size]) {
    param weight: [out, size] = normal(1.0)
    return op.linear(op.binarize(x), op.binarize(weight))
}"""
CONV = """model Layer(images: int, width: int, side: int)(x: [images, width, side, side]) {
    param weight: [width, width, 3, 3] = normal(1.0)
    return op.conv(op.binarize(x), op.binarize(weight), padding = [[1, 1], [1, 1]])
}"""
LAYERS = {
    "linear, 1 x 4096 -> 4096": (LINEAR, {"rows": 1, "size": 4096, "out": 4096}),
    "linear, 64 x 4096 -> 4096": (LINEAR, {"rows": 64, "size": 4096, "out": 4096}),
    "linear, 256 x 768 -> 3072": (LINEAR, {"rows": 256, "size": 768, "out": 3072}),
    "conv, 64 channels, 56 x 56": (CONV, {"images": 1, "width": 64, "side": 56}),
    "conv, 256 channels, 14 x 14": (CONV, {"images": 1, "width": 256, "side": 14}),
    "conv, 512 channels, 7 x 7": (CONV, {"images": 1, "width": 512, "side": 7}),
    "conv, 256 channels, 8 images": (CONV, {"images": 8, "width": 256, "side": 14}),
}
RUNS = 9


def seconds(call: Callable[[], object]) -> float:
    """The least time of several runs, after one that does not count."""
    call()
    taken: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main(backends: list[str]) -> None:
    for backend in backends:
        for name, (text, arguments) in LAYERS.items():
            graph = architrave.loads(text, **arguments)
            weights, x = architrave.init(graph), np.ones(graph.inputs[0].shape, np.float32)
            spent: list[float] = []
            for passes in ("inference,hoist", "inference,binary,hoist"):
                made = apply(graph, passes)
                session = architrave.compile(made.graph, backend).session(dict(made.weights(weights)), x)
                spent.append(seconds(lambda session=session, x=x: session.run([x], (0, 1))))  # type: ignore[misc]
            before, after = spent
            print(
                f"{backend:6} {name:30} {before / after:5.2f} x ({before * 1e3:7.2f} -> {after * 1e3:7.2f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:] or ["numpy", "torch", "jax"])
