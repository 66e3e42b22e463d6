"""How long dropout takes with our generator, beside the framework's own: a ratio for each backend.

`python benchmarks/random_numbers.py [BACKEND ...]`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import architrave

SHAPE = (256, 4096)
NETWORK = "from std.regularize import dropout\nmodel Noisy()(x: [N, C]) = x -> dropout(0.1)"
RUNS = 9


def seconds(call: Callable[[], object]) -> float:
    """The median of several runs, after one that does not count."""
    call()
    taken: list[float] = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[RUNS // 2]


def main(backends: list[str]) -> None:
    graph = architrave.loads(NETWORK)
    x = np.ones(SHAPE, np.float32)
    print(f"dropout(0.1) on {SHAPE[0]} x {SHAPE[1]} float32")
    for backend in backends:
        spent: dict[str, float] = {}
        for random in ("threefry", "framework"):
            session = architrave.compile(graph, backend, random=random).session({}, x)
            spent[random] = seconds(lambda session=session: session.run([x], (0, 1)))  # type: ignore[misc]  # a default
        ours, theirs = spent["threefry"], spent["framework"]
        print(f"{backend:6} ours {ours * 1e3:7.1f} ms, the framework's {theirs * 1e3:7.1f} ms: {ours / theirs:.1f} x")


if __name__ == "__main__":
    main(sys.argv[1:] or ["numpy", "torch", "jax"])
