"""How fast a ResNet-50 is of whose multiply-adds half are cut, beside the whole one: ratios in one run.

    python -m benchmarks.pruned [NETWORK] [--backend numpy torch jax] [--batch 1] [--keep 0.5] [--scope layer]

Above 1 is faster than the whole network. Both are folded (`deploy`) and take turns; the best of each counts, in time of
the processor, which others on the machine disturb least. Every group loses the same share of its units, and keeps
multiples of 8. The goal is 1.6 on each backend. On one thread: set OMP_NUM_THREADS=1, OPENBLAS_NUM_THREADS=1 and
MKL_NUM_THREADS=1, and run it under `taskset -c 0`, since XLA starts threads of its own.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import architrave
from architrave.backends.agree.trial import trial
from architrave.passes import apply
from architrave.prune import Plan, prune
from architrave.prune.timing import seconds
from architrave.record.recorder import silent


def main() -> None:
    """Print a line for each backend."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("network", nargs="?", default="ResNet50")
    options.add_argument("--backend", nargs="+", default=["numpy", "torch", "jax"])
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--keep", type=float, default=0.5)
    options.add_argument("--scope", choices=["layer", "global"], default="layer")
    given = options.parse_args()
    network = architrave.load(given.network)
    weights = architrave.init(network)
    plan = Plan(keep=given.keep, by="macs", scope=given.scope, multiple=8)
    found = prune(network, weights, plan)
    both = [
        (made.graph, made.weights(held))
        for graph, held in ((network, weights), (found.graph, found.weights))
        for made in [apply(graph, "deploy")]
    ]
    sizes = {**dict.fromkeys(network.symbols, 128), "N": given.batch}
    inputs = list(trial(network, sizes, 0, np.float32).inputs)
    share, numbers = (after / before for before, after in (found.macs, found.parameters))
    print(f"{given.network}: {share:.1%} of the multiply-adds, {numbers:.1%} of the trained numbers", flush=True)
    for backend in given.backend:
        whole, cut = seconds(both, inputs, backend, silent, time.process_time)
        print(f"{backend:6} {whole / cut:5.2f} x ({1e3 * whole:7.1f} -> {1e3 * cut:7.1f} ms)", flush=True)


if __name__ == "__main__":
    main()
